//! Checks whether a destination exists before a caller is sent to it.

use std::ffi::c_int;
use std::ptr;

use thiserror::Error;

use super::event::Event;
use super::extension::{CallerFields, HuntResult, HuntTarget, XmlElement, hunt};
use super::session::Leg;
use super::text::{from_c, take_c, to_c};
use super::xml::attributes;
use crate::ffi;
use crate::parking::Destination;

/// The commands that conditions of a dialplan may call by `${...}` here, because they change nothing.
const READ_ONLY_COMMANDS: [&str; 20] = [
    "acl",
    "cond",
    "domain_exists",
    "expr",
    "in_group",
    "is_lan_addr",
    "lower_case",
    "module_exists",
    "regex",
    "replace",
    "sofia_contact",
    "sql_escape",
    "strepoch",
    "strftime",
    "strftime_tz",
    "upper_case",
    "url_decode",
    "url_encode",
    "user_data",
    "user_exists",
];

/// The attributes of a condition that name a time.
const TIME_ATTRIBUTES: [&str; 12] = [
    "year",
    "yday",
    "mon",
    "mday",
    "week",
    "mweek",
    "wday",
    "hour",
    "minute",
    "minute-of-day",
    "time-of-day",
    "date-time",
];

/// What is missing at a destination.
#[derive(Debug, Error)]
pub(crate) enum UnreachableError {
    #[error("no extension {extension} in context {context} of dialplan {dialplans}")]
    NoExtension { extension: String, context: String, dialplans: String },
    #[error("extension {extension} uses {application}, which no module has")]
    NoApplication { extension: String, application: String },
}

impl Leg<'_> {
    /// Checks that `destination` exists where the core would look it up for this leg, and that each of its applications is loaded, because the core
    /// hangs up if not. Nothing is executed. `ours` is the name of the module's own dialplan, and whether that has the extension.
    pub(crate) fn can_reach(
        &self,
        destination: &Destination,
        ours: (&str, &dyn Fn() -> bool),
    ) -> Result<(), UnreachableError> {
        // This is the order of a transfer (switch_ivr_session_transfer in switch_ivr.c). The dialplan `inline`, to which a leg may have been
        // transferred, has no extensions.
        let own_dialplan = || self.var("dialplan").filter(|dialplan| !dialplan.eq_ignore_ascii_case("inline"));
        let dialplans =
            destination.dialplan.clone().or_else(|| self.var("force_transfer_dialplan")).or_else(own_dialplan);
        let dialplans = dialplans.unwrap_or_else(|| "XML".to_owned());
        let context =
            destination.context.clone().or_else(|| self.var("force_transfer_context")).or_else(|| self.var("context"));
        let context = context.unwrap_or_else(|| "default".to_owned());
        let mut unknown = false;
        for dialplan in dialplans.split(',').map(str::trim) {
            if dialplan.eq_ignore_ascii_case(ours.0) {
                if ours.1() {
                    return Ok(());
                }
                continue;
            }
            match self.hunt_in(HuntTarget { extension: &destination.extension, context: &context, dialplan }) {
                HuntResult::Applications(applications) => {
                    return match applications.iter().find(|name| !application_exists(name)) {
                        Some(application) => Err(UnreachableError::NoApplication {
                            extension: destination.extension.clone(),
                            application: application.clone(),
                        }),
                        None => Ok(()),
                    };
                }
                HuntResult::Nothing => {}
                HuntResult::Unknown => unknown = true,
            }
        }
        if unknown {
            return Ok(());
        }
        Err(UnreachableError::NoExtension { extension: destination.extension.clone(), context, dialplans })
    }

    fn hunt_in(&self, target: HuntTarget<'_>) -> HuntResult {
        match target.dialplan.to_ascii_lowercase().as_str() {
            "xml" => self.hunt_in_xml(target),
            "inline" => HuntResult::Applications(inline(target.extension)),
            // Other dialplans cannot be asked without executing them.
            other => {
                let name = other.split_once(':').map_or(target.dialplan, |(name, _)| &target.dialplan[..name.len()]);
                if dialplan_exists(name) { HuntResult::Unknown } else { HuntResult::Nothing }
            }
        }
    }

    fn hunt_in_xml(&self, target: HuntTarget<'_>) -> HuntResult {
        let Some(mut params) = Event::plain() else { return HuntResult::Unknown };
        self.describe(&mut params);
        // After a transfer these describe the target; programs that serve the dialplan, such as FusionPBX's script, look up what they name.
        for (header, value) in [
            ("Caller-Destination-Number", target.extension),
            ("Caller-Context", target.context),
            ("Caller-Dialplan", target.dialplan),
        ] {
            params.replace(header, value);
        }
        let field = |name: &str| self.var(name).unwrap_or_default();
        // These are the parameters of a dialplan request (dialplan_xml_locate in mod_dialplan_xml.c).
        for (header, value) in [
            ("Hunt-Destination-Number", target.extension.to_owned()),
            ("Hunt-Context", target.context.to_owned()),
            ("Hunt-Dialplan", target.dialplan.to_owned()),
            ("Hunt-Unique-ID", self.uuid()),
            ("Hunt-Caller-ID-Name", field("caller_id_name")),
            ("Hunt-Caller-ID-Number", field("caller_id_number")),
            ("Hunt-Username", field("username")),
            ("Hunt-ANI", field("ani")),
            ("Hunt-Network-Addr", field("network_addr")),
            ("Hunt-Source", field("source")),
        ] {
            params.set(header, &value);
        }
        let (mut root, mut section) = (ptr::null_mut(), ptr::null_mut());
        let (section_name, clone) = (c"dialplan", ffi::switch_bool_t::SWITCH_FALSE);
        let times = TimeZone {
            offset: self.var("tod_tz_offset").and_then(|offset| offset.parse().ok()),
            zone: self.var("timezone"),
        };
        // SAFETY: the name and the event live through the call, and the places are ours to be set. The tree is read-locked until it is
        // freed, below; of what is read, all is copied.
        let contexts = unsafe {
            let status = ffi::switch_xml_locate(
                section_name.as_ptr(),
                ptr::null(),
                ptr::null(),
                ptr::null(),
                &mut root,
                &mut section,
                params.as_ptr(),
                clone,
            );
            let found = status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS && !section.is_null();
            let contexts = found.then(|| contexts(&*section, target.context, &times));
            if !root.is_null() {
                ffi::switch_xml_free(root);
            }
            contexts
        };
        let contexts = contexts.unwrap_or_default();
        contexts.context(target.context).map_or(HuntResult::Nothing, |context| hunt(context, target, self))
    }
}

impl CallerFields for Leg<'_> {
    fn field(&self, name: &str) -> String {
        self.profile(name).unwrap_or_default()
    }

    fn expand(&self, text: &str) -> String {
        let Some(mut allowed) = Event::plain() else { return text.to_owned() };
        for name in READ_ONLY_COMMANDS {
            allowed.set(name, "allow");
        }
        let text_c = to_c(text);
        // SAFETY: the texts and the event live through the call. The core answers with the very text that it was given, or with one from
        // malloc that is ours.
        unsafe {
            let filled = ffi::switch_channel_expand_variables_check(
                self.channel(),
                text_c.as_ptr(),
                ptr::null_mut(),
                allowed.as_ptr(),
                0,
            );
            if filled.cast_const() == text_c.as_ptr() { text.to_owned() } else { take_c(filled).unwrap_or_default() }
        }
    }
}

/// The time zone for the conditions of a dialplan.
struct TimeZone {
    offset: Option<i32>,
    zone: Option<String>,
}

/// Copies the contexts of that name.
///
/// # Safety
/// The tree stays as it is.
unsafe fn contexts(section: &ffi::switch_xml, name: &str, times: &TimeZone) -> XmlElement {
    let mut all = XmlElement::default();
    // SAFETY: by this function's contract; each `ordered` is NULL or the next element.
    unsafe {
        let mut next = section.child.as_ref();
        while let Some(element) = next {
            let shallow = XmlElement {
                name: from_c(element.name).unwrap_or_default(),
                attributes: attributes(element),
                ..XmlElement::default()
            };
            let meant = |is: &str| is.eq_ignore_ascii_case(name) || is.eq_ignore_ascii_case("global");
            if shallow.name == "context" && shallow.attribute("name").is_some_and(meant) {
                all.children.push(copied(element, times));
            }
            next = element.ordered.as_ref();
        }
    }
    all
}

/// # Safety
/// The tree stays as it is.
unsafe fn copied(element: &ffi::switch_xml, times: &TimeZone) -> XmlElement {
    // SAFETY: by this function's contract: each pointer is NULL or another element of the tree, each text a C string of it. The core reads
    // the element and the clock, and may set the offset, which is ours.
    unsafe {
        let attributes = attributes(element);
        let says_time = attributes.iter().any(|(name, _)| TIME_ATTRIBUTES.contains(&name.as_str()));
        let is_time = says_time.then(|| {
            let (mut offset, zone) = (times.offset.unwrap_or_default(), times.zone.as_deref().map(to_c));
            let offset = if times.offset.is_some() { ptr::from_mut(&mut offset) } else { ptr::null_mut() };
            let zone = zone.as_ref().map_or(ptr::null(), |zone| zone.as_ptr());
            ffi::switch_xml_std_datetime_check(ptr::from_ref(element).cast_mut(), offset, zone) == 1
        });
        let mut children = Vec::new();
        let mut next = element.child.as_ref();
        while let Some(child) = next {
            children.push(copied(child, times));
            next = child.ordered.as_ref();
        }
        XmlElement {
            name: from_c(element.name).unwrap_or_default(),
            attributes,
            text: from_c(element.txt).unwrap_or_default().trim().to_owned(),
            children,
            is_time,
        }
    }
}

/// Parses the applications of `app:data,app2:data2`, with another separator after `m:<separator>:`.
fn inline(extension: &str) -> Vec<String> {
    let mut characters = extension.chars();
    let (separator, rest) = match (characters.next(), characters.next(), characters.next(), characters.next()) {
        (Some('m'), Some(':'), Some(separator), Some(':')) => (separator, characters.as_str()),
        _ => (',', extension),
    };
    rest.split(separator).map(|one| one.split(':').next().unwrap_or(one).trim().to_owned()).collect()
}

fn dialplan_exists(name: &str) -> bool {
    let name = to_c(name);
    // SAFETY: the name lives through the call; what the core answers with is held, and given back at once.
    unsafe {
        let found = ffi::switch_loadable_module_get_dialplan_interface(name.as_ptr()).as_mut();
        found.map(|it| relinquish(it.rwlock, &mut it.refs, it.reflock, it.parent)).is_some()
    }
}

/// Whether an application is loaded. A dialplan may write `app` or `app::data`.
fn application_exists(name: &str) -> bool {
    let name = to_c(name.split("::").next().unwrap_or(name));
    // SAFETY: the name lives through the call; what the core answers with is held, and given back at once.
    unsafe {
        let found = ffi::switch_loadable_module_get_application_interface(name.as_ptr()).as_mut();
        found.map(|it| relinquish(it.rwlock, &mut it.refs, it.reflock, it.parent)).is_some()
    }
}

/// Gives an interface back: what FreeSWITCH's own macro does (UNPROTECT_INTERFACE in `switch_module_interfaces.h`).
///
/// # Safety
/// The four are fields of one interface that the core handed out, and it is given back once.
unsafe fn relinquish(
    rwlock: *mut ffi::switch_thread_rwlock_t,
    refs: &mut c_int,
    reflock: *mut ffi::switch_mutex_t,
    module: *mut ffi::switch_loadable_module_interface_t,
) {
    // SAFETY: by this function's contract both the interface and its module stay until the last line.
    unsafe {
        ffi::switch_mutex_lock(reflock);
        *refs -= 1;
        (*module).refs -= 1;
        ffi::switch_mutex_unlock(reflock);
        ffi::switch_thread_rwlock_unlock(rwlock);
        ffi::switch_thread_rwlock_unlock((*module).rwlock);
    }
}
