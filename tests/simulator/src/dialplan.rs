//! Simulates dialplans: finds the applications of an extension, runs them, and transfers legs.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;

use crate::bridge::TRANSFER;
use crate::cause::Cause;
use crate::core::{Core, enter};
use crate::ffi::{self, switch_status_t as Status};
use crate::leg::{ChannelState, LegId, Profile, Session, status};
use crate::text::{from_c, to_c};

/// The data with which a dialplan is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The dialled number, or the destination of a transfer.
    pub extension: String,
    pub context: String,
    pub caller_number: String,
    /// The UUID of the leg.
    pub leg: String,
}

/// Applications and their data, in the order in which they run.
pub type Plan = Vec<(String, String)>;

type Rules = dyn Fn(&Route) -> Option<Plan> + Send + Sync;

/// The dialplan `XML`, which is a function of the test.
#[derive(Default)]
pub(crate) struct Dialplan {
    pub(crate) rules: Option<Arc<Rules>>,
}

/// More transfers than this count as a loop.
const MOST_TRANSFERS: i64 = 70;

impl Core {
    fn hunt(&self, id: LegId, dialplan: &str, argument: Option<&str>, profile: &Profile) -> Option<Plan> {
        let extension = profile.field("destination_number");
        if dialplan.eq_ignore_ascii_case("inline") {
            let target = argument.map(str::to_owned).unwrap_or(extension);
            return (!target.is_empty()).then(|| inline(&target));
        }
        let rules = self.state().dialplan.rules.clone()?;
        rules(&Route {
            extension,
            context: profile.field("context"),
            caller_number: profile.field("caller_id_number"),
            leg: self.leg(id, |leg| leg.uuid.clone()),
        })
    }

    /// Finds the applications of the leg's extension, on the leg's thread.
    pub(crate) fn route(&self, id: LegId) {
        let (profile, calling) = self.leg(id, |leg| (leg.profile.clone(), leg.outbound && !leg.answered));
        if calling {
            return self.set_state(id, ChannelState::ConsumeMedia);
        }
        let dialplans = profile.field("dialplan");
        let found = dialplans.split(',').find_map(|dialplan| {
            let (name, argument) = match dialplan.split_once(':') {
                Some((name, argument)) => (name, Some(argument)),
                None => (dialplan, None),
            };
            if let Some(plan) = self.hunt_in_module(id, name) {
                return Some((false, plan?));
            }
            if !is_dialplan(name) {
                return None;
            }
            let plan = self.hunt(id, name, argument, &profile)?;
            Some((name.eq_ignore_ascii_case("inline"), plan))
        });
        match found {
            None => self.hang_up(id, Cause::NO_ROUTE_DESTINATION),
            Some((is_inline, plan)) => {
                self.leg(id, |leg| {
                    leg.plan = plan.into();
                    if is_inline {
                        // FreeSWITCH restores the number that was dialled before.
                        let before = leg.profile.field("rdnis");
                        leg.profile.set("destination_number", &before);
                        leg.profile.set("rdnis", "");
                    }
                });
                self.set_state(id, ChannelState::Execute);
            }
        }
    }

    /// Asks a dialplan that the module has registered, if there is one of that name.
    fn hunt_in_module(&self, id: LegId, name: &str) -> Option<Option<Plan>> {
        let session = self.leg(id, |leg| leg.session.as_ptr());
        self.with_dialplan(name, |hunt| {
            // SAFETY: the module's function, called as FreeSWITCH calls it; what it returns is in the session's pool.
            unsafe { plan_of(hunt?(session, ptr::null_mut(), ptr::null_mut())) }
        })
    }

    /// Runs the applications one after the other, on the leg's thread.
    pub(crate) fn execute(&self, id: LegId) {
        while self.leg(id, |leg| leg.state == ChannelState::Execute) {
            let Some((application, data)) = self.leg(id, |leg| leg.plan.pop_front()) else { break };
            if !self.run_application(id, &application, &data) {
                return;
            }
        }
        if self.leg(id, |leg| leg.is_ready() && leg.state == ChannelState::Execute) {
            self.hang_up(id, Cause::NORMAL_CLEARING);
        }
    }

    /// Transfers a leg as `switch_ivr_session_transfer` does.
    pub(crate) fn transfer(&self, id: LegId, extension: &str, dialplan: Option<&str>, context: Option<&str>) -> bool {
        let now = self.wall() / 1_000_000;
        let left =
            self.look_up(id, "max_forwards").and_then(|left| left.parse().ok()).unwrap_or(MOST_TRANSFERS + 1) - 1;
        if left <= 0 {
            self.hang_up(id, Cause::EXCHANGE_ROUTING_ERROR);
            return false;
        }
        let partner = self.leg(id, |leg| {
            leg.set_variable("max_forwards", Some(&left.to_string()));
            leg.set_variable("temp_hold_music", None);
            let before = leg.profile.clone();
            let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
            let own = |field: &str| given(before.get(field));
            let own_dialplan = own("dialplan").filter(|dialplan| !dialplan.eq_ignore_ascii_case("inline"));
            let dialplan = given(dialplan).or(own_dialplan).unwrap_or_else(|| "XML".into());
            let context = given(context).or_else(|| own("context")).unwrap_or_else(|| "default".into());
            leg.profile.set("dialplan", &dialplan);
            leg.profile.set("context", &context);
            leg.profile.set("destination_number", extension);
            leg.profile.set("rdnis", &before.field("destination_number"));
            leg.set_variable("signal_bond", None);
            leg.transferred = true;
            let source = format!("{now}:{}:bl_xfer:{extension}/{context}/{dialplan}", leg.uuid);
            leg.set_variable("transfer_source", Some(&source));
            leg.set_variable("transfer_history", Some(&source));
            leg.variable("bridge_to").map(str::to_owned)
        });
        if let Some(partner) = partner.and_then(|partner| self.state().legs.find(&partner)) {
            self.leg(partner, |leg| leg.set_variable("signal_bond", None));
        }
        self.set_state(id, ChannelState::Routing);
        self.tell(id, TRANSFER, None);
        true
    }
}

fn is_dialplan(name: &str) -> bool {
    ["XML", "inline"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Parses `app:data,app2:data2`, or the same with another separator after `m:<separator>:`.
fn inline(target: &str) -> Plan {
    let mut characters = target.chars();
    let (separator, rest) = match (characters.next(), characters.next(), characters.next(), characters.next()) {
        (Some('m'), Some(':'), Some(separator), Some(':')) => (separator, characters.as_str()),
        _ => (',', target),
    };
    let plan = rest.split(separator).map(|word| word.split_once(':').unwrap_or((word, "")));
    plan.map(|(name, data)| (name.trim_start().to_owned(), data.to_owned())).collect()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_session_transfer(
    session: *mut ffi::switch_core_session_t,
    extension: *const c_char,
    dialplan: *const c_char,
    context: *const c_char,
) -> Status {
    let call = enter("switch_ivr_session_transfer");
    // SAFETY: the module's handles are sessions of the simulator; null or C strings that live through the call.
    let (session, extension, dialplan, context) =
        unsafe { (Session::of(session, &call), from_c(extension), from_c(dialplan), from_c(context)) };
    if call.fails {
        return Status::SWITCH_STATUS_FALSE;
    }
    let extension = extension.filter(|extension| !extension.is_empty()).unwrap_or_else(|| "service".into());
    status(call.core.transfer(session.id, &extension, dialplan.as_deref(), context.as_deref()))
}

/// No simulated phone waits for the result of its transfer.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_blind_transfer_ack(
    _session: *mut ffi::switch_core_session_t,
    _success: ffi::switch_bool_t,
) -> Status {
    enter("switch_ivr_blind_transfer_ack");
    Status::SWITCH_STATUS_FALSE
}

/// The answer of a dialplan and the texts to which it points. It is kept in the pool of the session.
struct Extension {
    _texts: Vec<CString>,
    _applications: Vec<ffi::switch_caller_application_t>,
    head: ffi::switch_caller_extension_t,
}

// SAFETY: it points to itself only, and only the pool that holds it frees it.
unsafe impl Send for Extension {}

/// The function of each of the simulator's own dialplans. The caller profile says which dialplan is asked.
pub(crate) unsafe extern "C" fn hunt(
    session: *mut ffi::switch_core_session_t,
    argument: *mut c_void,
    profile: *mut ffi::switch_caller_profile_t,
) -> *mut ffi::switch_caller_extension_t {
    let call = enter("hunt_function");
    // SAFETY: the module's handles are the simulator's; the argument is null or a C string.
    let (session, argument, profile) =
        unsafe { (Session::of(session, &call), from_c(argument.cast()), Profile::of(profile)) };
    let profile = profile.unwrap_or_else(|| call.core.leg(session.id, |leg| leg.profile.clone()));
    let dialplan = profile.field("dialplan");
    let plan = if call.fails { None } else { call.core.hunt(session.id, &dialplan, argument.as_deref(), &profile) };
    plan.map_or(ptr::null_mut(), |plan| handed_out(&plan, session))
}

/// The applications of the leg's extension that are still to run. FreeSWITCH counts an application as done when it begins.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_caller_extension(
    channel: *mut ffi::switch_channel_t,
) -> *mut ffi::switch_caller_extension_t {
    let call = enter("switch_channel_get_caller_extension");
    // SAFETY: the module's handles are sessions of ours.
    let session = unsafe { Session::of_channel(channel, &call) };
    let plan: Plan = call.core.leg(session.id, |leg| leg.plan.iter().cloned().collect());
    handed_out(&plan, session)
}

/// Copies the applications of an extension.
///
/// # Safety
/// `extension` is null, or an extension whose texts are C strings.
unsafe fn plan_of(extension: *mut ffi::switch_caller_extension_t) -> Option<Plan> {
    // SAFETY: by this function's contract.
    unsafe {
        let mut next = extension.as_ref()?.applications.as_ref();
        let mut plan = Plan::new();
        while let Some(application) = next {
            let text = |text| from_c(text).unwrap_or_default();
            plan.push((text(application.application_name), text(application.application_data)));
            next = application.next.as_ref();
        }
        Some(plan)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_caller_extension_new(
    session: *mut ffi::switch_core_session_t,
    _name: *const c_char,
    _number: *const c_char,
) -> *mut ffi::switch_caller_extension_t {
    let call = enter("switch_caller_extension_new");
    // SAFETY: the module's handles are sessions of ours.
    let session = unsafe { Session::of(session, &call) };
    if call.fails { ptr::null_mut() } else { handed_out(&Plan::new(), session) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_caller_extension_add_application(
    session: *mut ffi::switch_core_session_t,
    extension: *mut ffi::switch_caller_extension_t,
    name: *const c_char,
    data: *const c_char,
) {
    let call = enter("switch_caller_extension_add_application");
    // SAFETY: the module's handles are ours, and the texts are C strings; the extension stays in the session's pool.
    unsafe {
        let session = Session::of(session, &call);
        let mut plan = plan_of(extension).unwrap_or_default();
        plan.push((from_c(name).unwrap_or_default(), from_c(data).unwrap_or_default()));
        let applications = (*handed_out(&plan, session)).applications;
        (*extension).applications = applications;
        (*extension).current_application = applications;
    }
}

fn handed_out(plan: &Plan, session: &Session) -> *mut ffi::switch_caller_extension_t {
    let texts: Vec<CString> = plan.iter().flat_map(|(name, data)| [to_c(name), to_c(data)]).collect();
    let mut applications: Vec<ffi::switch_caller_application_t> = texts
        .chunks(2)
        .map(|pair| ffi::switch_caller_application_t {
            application_name: pair[0].as_ptr().cast_mut(),
            application_data: pair[1].as_ptr().cast_mut(),
            ..Default::default()
        })
        .collect();
    let mut next = ptr::null_mut();
    for application in applications.iter_mut().rev() {
        application.next = next;
        next = ptr::from_mut(application);
    }
    let head = ffi::switch_caller_extension_t { applications: next, current_application: next, ..Default::default() };
    let mut extension = Box::new(Extension { _texts: texts, _applications: applications, head });
    let pointer = ptr::from_mut(&mut extension.head);
    session.keep(extension);
    pointer
}
