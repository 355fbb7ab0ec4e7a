//! Rings a phone for a parked call, for a user who clicked on it or for a command. The call is held for the user while the phone rings: it has the state
//! `retrieving`, its caller hears the music, and nobody else gets it. If the phone does not answer, the caller waits on.

use std::sync::Arc;
use std::time::Duration;

use crate::freeswitch::{self, CancelToken, Dial, HangupCause, OriginateError, SessionGuard};
use crate::parking::{self, Call, Party, Refusal, RetrieveFacts};
use crate::service::call_log::log_call;
use crate::service::permission::is_member;
use crate::service::recall::dial::{Phone, call_phone, displayable};
use crate::service::recall::unless_voicemail;
use crate::service::template::is_part_of_address;
use crate::service::{ActionError, EventKind, ParkEvent, ParkingService, Retriever, entropy};

/// How long a party may ring that a command dials.
const DIAL_RING_TIMEOUT: Duration = Duration::from_secs(60);

/// The user whose phones ring.
#[derive(Clone, Debug)]
pub(crate) struct RingOrder {
    /// The user (`1002@example.com`).
    pub(crate) user: String,
    /// Whether the phones are asked to answer by themselves.
    pub(crate) auto_answer: bool,
}

/// The claim of a parked call for a party whose phone rings. Dropping this releases the claim, unless it has passed to a leg.
struct HeldCall {
    service: Arc<ParkingService>,
    call: Call,
    holder: String,
}

impl HeldCall {
    fn hold(service: &Arc<ParkingService>, call: &Call) -> Result<HeldCall, Refusal> {
        let holder = format!("ringing {:016x}", entropy());
        let call = service.change(|table, _| table.claim_leg(&call.info.uuid, &holder))?;
        Ok(HeldCall { service: Arc::clone(service), call, holder })
    }

    /// Sends the leg that has answered to the parked call.
    fn connect(&self, leg: &SessionGuard) -> Result<(), ActionError> {
        let HeldCall { service, call, holder } = self;
        // A call on another node is claimed by the ticket of the leg.
        if service.change(|table, _| table.hand_claim(&call.info.uuid, holder, &leg.uuid())) || !call.is_here() {
            return service.send_to_caller(leg, call);
        }
        leg.hang_up(HangupCause::LoseRace);
        Err(Refusal::NoLongerParked.into())
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        let HeldCall { service, call, holder } = self;
        if service.change(|table, now| table.release(&call.info.uuid, holder, now)).is_some() {
            // A recall may have become due while the call was held.
            service.execute_due();
        }
    }
}

impl ParkingService {
    /// Rings the phones of a user for a parked call, on another thread, which gives the result to `report`. The lot decides whether the user may retrieve; a
    /// PIN is not asked for, because whoever acts for the user has proved it by other means.
    pub(crate) fn retrieve_by_ringing(
        self: &Arc<Self>,
        call: &Call,
        order: RingOrder,
        actor: Option<&str>,
        report: impl FnOnce(Result<(), ActionError>) + Send + 'static,
    ) -> Result<(), ActionError> {
        self.check_ringing(call, &order)?;
        let held = HeldCall::hold(self, call)?;
        let uuid = Arc::clone(&held.call.info.uuid);
        self.note_actor(&uuid, actor, EventKind::RETRIEVED);
        let service = Arc::clone(self);
        let user = order.user.clone();
        let ring = move |cancel: &CancelToken| {
            let result = service.ring_user(&held, &order, cancel);
            service.rings.finish(&held.call.info.uuid, cancel);
            if let Err(why) = &result {
                service.ringing_failed(&held, &order.user, why);
            }
            drop(held);
            report(result);
        };
        // If the job panics or is never run, the claim is released with it.
        if self.rings.spawn(&uuid, ring, || {}) {
            log_call!(Info, call, retriever = user; "phones of the retriever ring");
            return Ok(());
        }
        Err(ActionError::NoThread)
    }

    fn check_ringing(&self, call: &Call, RingOrder { user, .. }: &RingOrder) -> Result<(), ActionError> {
        let unknown = || ActionError::NoSuchUser(user.clone());
        let (name, domain) = user.rsplit_once('@').ok_or_else(unknown)?;
        if !(is_part_of_address(name) && is_part_of_address(domain) && freeswitch::has_user(name, domain)) {
            return Err(unknown());
        }
        let info = &call.info;
        let (lot_domain, settings) = (&*info.lot.domain, &*info.settings);
        let facts = RetrieveFacts { user, domain, is_of_no_domain: false, lot_domain, settings };
        parking::may_retrieve(&facts, is_member).map_err(Refusal::from)?;
        Ok(())
    }

    fn ring_user(&self, held: &HeldCall, order: &RingOrder, cancel: &CancelToken) -> Result<(), ActionError> {
        let info = &held.call.info;
        let not_reached = |cause: &dyn std::fmt::Display| ActionError::NotReached {
            user: order.user.clone(),
            cause: cause.to_string(),
        };
        let dial = self.dial_of_user(&order.user, &info.settings).map_err(|cause| not_reached(&cause))?;
        let domain = order.user.rsplit_once('@').map_or("", |(_, domain)| domain);
        let phone = Phone { dial, party: &info.caller, prefix: String::new(), settings: &info.settings, domain };
        let mut variables = vec![("callpark_slot", info.slot.as_str()), ("callpark_lot", &*info.lot.name)];
        if order.auto_answer {
            // mod_sofia writes the Call-Info that makes phones answer by themselves.
            variables.push(("sip_auto_answer", "true"));
        }
        let answered = call_phone(&self.outgoing, &phone, &variables, cancel);
        let leg = answered
            .and_then(|leg| unless_voicemail(leg, &info.settings, cancel))
            .map_err(|cause| not_reached(&cause))?;
        held.connect(&leg)
    }

    /// Dials a party and connects it with the parked call, for the command.
    pub(crate) fn retrieve_by_dialling(self: &Arc<Self>, call: &Call, dial: &str) -> Result<(), ActionError> {
        let held = HeldCall::hold(self, call)?;
        let uuid = &held.call.info.uuid;
        let cancel = self.rings.begin(uuid);
        let answered = self.dial_for(&held.call.info.caller, dial, &cancel);
        self.rings.finish(uuid, &cancel);
        let result = answered.map_err(ActionError::from).and_then(|leg| held.connect(&leg));
        result.inspect_err(|why| self.ringing_failed(&held, "", why))
    }

    fn dial_for(&self, caller: &Party, dial: &str, cancel: &CancelToken) -> Result<SessionGuard, OriginateError> {
        let name = displayable(&caller.name);
        let dial = Dial {
            to: dial,
            caller_name: &name,
            caller_number: &caller.number,
            variables: &[],
            ring_timeout: DIAL_RING_TIMEOUT,
        };
        self.outgoing.originate(&dial, cancel)
    }

    /// Reports that nobody answered, unless the call has ended meanwhile.
    fn ringing_failed(&self, HeldCall { call, .. }: &HeldCall, user: &str, why: &ActionError) {
        let Some(call) = self.call_of(&call.info.uuid).filter(|now| now.id == call.id) else { return };
        log_call!(Info, &call, retriever = user, cause = why; "nobody answered, the caller waits on");
        let (leg, wait) = (SessionGuard::find(&call.info.uuid), freeswitch::now().since(call.parked_at));
        let actor = self.withdraw_actor(&call.info.uuid, EventKind::RETRIEVED);
        self.publish(&ParkEvent {
            call: Some(&call),
            leg: leg.as_deref(),
            wait,
            retriever: Some(&Retriever { user: user.to_owned(), uuid: String::new() }),
            cause: Some(&why.to_string()),
            actor: actor.as_deref(),
            ..ParkEvent::of(EventKind::RetrieveFailed)
        });
    }
}
