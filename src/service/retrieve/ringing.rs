//! Rings a phone for a parked call, for a user who clicked on it or for a command. The call is held for the user while the phone rings: it has the state
//! `retrieving`, its caller hears the music, and nobody else gets it. If the phone does not answer, the caller waits on.
//!
//! The call may be on another node: see `hold.rs`.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;

use super::hold::HeldCall;
use crate::freeswitch::{self, CancelToken, Dial, OriginateError, SessionGuard};
use crate::parking::{self, Call, Party, Refusal, RetrieveFacts, RingBackVia};
use crate::service::call_action::{CallAction, RingOrder};
use crate::service::call_log::log_call;
use crate::service::permission::is_member;
use crate::service::recall::dial::{Phone, call_phone, displayable};
use crate::service::recall::unless_voicemail;
use crate::service::template::is_part_of_address;
use crate::service::{ActionError, EventKind, ParkEvent, ParkingService, Retriever};

/// How long a party may ring that a command dials.
const DIAL_RING_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request waits for a failure, because a phone that is not registered, is busy or rejects the call says so at once.
pub(crate) const EARLY_FAILURE_TIME: Duration = Duration::from_secs(1);

impl ParkingService {
    /// Rings the phones of a user for a parked call, on another thread, which gives the result to `report`. The lot decides whether the user may retrieve; a
    /// PIN is not asked for, because whoever acts for the user has proved it by other means. If the call is on another node and no phone of the user is
    /// registered here, that node rings, and this function waits until it has begun. Returns the row of a call on another node.
    pub(crate) fn retrieve_by_ringing(
        self: &Arc<Self>,
        call: &Call,
        order: RingOrder,
        actor: Option<&str>,
        report: impl FnOnce(Result<(), ActionError>) + Send + 'static,
    ) -> Result<Option<Value>, ActionError> {
        self.check_ringing(call, &order)?;
        if let Some(node) = call.node().filter(|_| !self.can_ring_here(call, &order.user)) {
            let row = self.act_on_node(node, call, CallAction::Ring(order), actor)?;
            report(Ok(()));
            return Ok(row);
        }
        let ring_time = call.info.settings.ringback_timeout;
        let (mut held, row) = HeldCall::hold(self, call, &order.user, ring_time, actor)?;
        let uuid = Arc::clone(held.uuid());
        let (service, user) = (Arc::clone(self), order.user.clone());
        let ring = move |cancel: &CancelToken| {
            let result = service.ring_user(&mut held, &order, cancel);
            service.rings.finish(held.uuid(), cancel);
            if let Err(why) = &result {
                held.failed(why);
            }
            drop(held);
            report(result);
        };
        // If the job panics or is never run, the claim is released with it.
        if self.rings.spawn(&uuid, ring, || {}) {
            log_call!(Info, call, retriever = user; "phones of the retriever ring");
            return Ok(row);
        }
        Err(ActionError::NoThread)
    }

    /// As [`ParkingService::retrieve_by_ringing`], and waits a moment for a failure.
    pub(in crate::service) fn ring_and_wait(
        self: &Arc<Self>,
        call: &Call,
        order: RingOrder,
        actor: Option<&str>,
    ) -> Result<(), ActionError> {
        let (done, result) = mpsc::sync_channel(1);
        // The receiver may have given up.
        self.retrieve_by_ringing(call, order, actor, move |result| drop(done.try_send(result)))?;
        match result.recv_timeout(EARLY_FAILURE_TIME) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(ActionError::CallerGone),
        }
    }

    /// Whether a phone of the user can be rung here, and be connected with a call on another node.
    fn can_ring_here(&self, call: &Call, user: &str) -> bool {
        let is_contact = |contact: String| contact.contains('/') && !contact.contains("error/");
        let is_registered = || {
            call.info.settings.ringback_via == RingBackVia::Dialplan
                || is_contact(freeswitch::api("sofia_contact", &format!("*/{user}")))
                || (freeswitch::module_loaded("mod_verto") && is_contact(freeswitch::api("verto_contact", user)))
        };
        !self.settings().cluster_dial.is_empty() && is_registered()
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

    fn ring_user(&self, held: &mut HeldCall, order: &RingOrder, cancel: &CancelToken) -> Result<(), ActionError> {
        let not_reached = |cause: &dyn std::fmt::Display| ActionError::NotReached {
            user: order.user.clone(),
            cause: cause.to_string(),
        };
        let info = Arc::clone(&held.call().info);
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
        let (mut held, _) = HeldCall::hold(self, call, "", DIAL_RING_TIMEOUT, None)?;
        let cancel = self.rings.begin(held.uuid());
        let answered = self.dial_for(&held.call().info.caller, dial, &cancel);
        self.rings.finish(held.uuid(), &cancel);
        let result = answered.map_err(ActionError::from).and_then(|leg| held.connect(&leg));
        result.inspect_err(|why| held.failed(why))
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
    pub(super) fn ringing_failed(&self, call: &Call, user: &str, why: &str) {
        let Some(call) = self.call_of(&call.info.uuid).filter(|now| now.id == call.id) else { return };
        log_call!(Info, &call, retriever = user, cause = why; "nobody answered, the caller waits on");
        let (leg, wait) = (SessionGuard::find(&call.info.uuid), freeswitch::now().since(call.parked_at));
        let actor = self.withdraw_actor(&call.info.uuid, EventKind::RETRIEVED);
        self.publish(&ParkEvent {
            call: Some(&call),
            leg: leg.as_deref(),
            wait,
            retriever: Some(&Retriever { user: user.to_owned(), uuid: String::new() }),
            cause: Some(why),
            actor: actor.as_deref(),
            ..ParkEvent::of(EventKind::RetrieveFailed)
        });
    }
}
