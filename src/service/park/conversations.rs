//! Lists the conversations of users, and parks the party to whom a user talks, for a user at a screen.

use std::time::Duration;

use super::ParkOrder;
use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{Arrival, Call, MonotonicTime, Party, Refusal};
use crate::service::call_action::CallsOf;
use crate::service::identity::{self, Parker};
use crate::service::{ActionError, CallRow, EventKind, ParkingService};

/// A conversation of a user, who can park the other party.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The UUID of the user's leg.
    pub(crate) uuid: String,
    /// The user (`1002@example.com`).
    pub(crate) user: String,
    /// The other party.
    pub(crate) party: Party,
    /// Whether the user has called the other party.
    pub(crate) by_user: bool,
    /// Whether the user holds the other party.
    pub(crate) held: bool,
    /// How long they have been connected.
    pub(crate) lasted: Duration,
}

/// How long a caller takes to the slot.
const ARRIVAL_TIME: Duration = Duration::from_secs(1);
const ARRIVAL_CHECK_INTERVAL: Duration = Duration::from_millis(20);

impl ParkingService {
    /// Returns the conversations of these users, the one that began first before the others.
    pub(crate) fn conversations(&self, of: &CallsOf) -> Vec<Conversation> {
        let now = freeswitch::now();
        let legs = self.talking_legs.legs_of(|user| of.includes(user));
        let conversation = |(uuid, since): (String, MonotonicTime)| {
            let leg = SessionGuard::find(&uuid).filter(|leg| leg.ready())?;
            let other = leg.partner().and_then(|other| SessionGuard::find(&other))?;
            let user = Some(self.user_of(&leg)).filter(|user| of.includes(user))?;
            let (by_user, held, lasted) = (!leg.outbound(), leg.holding(), now.since(since));
            Some(Conversation { uuid, user, party: identity::party(&other), by_user, held, lasted })
        };
        let mut found: Vec<Conversation> = legs.into_iter().filter_map(conversation).collect();
        found.sort_by(|a, b| b.lasted.cmp(&a.lasted).then_with(|| a.uuid.cmp(&b.uuid)));
        found
    }

    /// Parks the party to whom a user talks. `uuid` is the leg of either. A leg that is in no conversation is parked itself, unless only the calls of one user
    /// may be parked. A leg of others is refused as one that does not exist.
    pub(crate) fn park_conversation(
        &self,
        uuid: &str,
        order: &ParkOrder,
        of: &CallsOf,
        actor: &str,
    ) -> Result<Call, ActionError> {
        let unknown = || ActionError::NoSuchChannel(uuid.to_owned());
        let leg = SessionGuard::find(uuid).ok_or_else(unknown)?;
        let partner = leg.partner().and_then(|other| SessionGuard::find(&other));
        let is_theirs = |leg: &Leg<'_>| of.includes(&self.user_of(leg));
        match (is_theirs(&leg), &partner, of) {
            (true, Some(caller), _) => self.park_for_user(caller, &leg, order, actor),
            (false, Some(user), _) if is_theirs(user) => self.park_for_user(&leg, user, order, actor),
            (true, None, CallsOf::User(_)) => Err(ActionError::NotBridged(uuid.to_owned())),
            (true, None, _) => self.park_alone(&leg, order, actor),
            (false, None, _) if self.user_of(&leg).is_empty() && includes_nobodys(of, &leg) => {
                self.park_alone(&leg, order, actor)
            }
            _ => Err(unknown()),
        }
    }

    /// Parks `caller`, and tells the slot to the leg of the user.
    fn park_for_user(
        &self,
        caller: &Leg<'_>,
        user: &Leg<'_>,
        order: &ParkOrder,
        actor: &str,
    ) -> Result<Call, ActionError> {
        let call = self.send_noted(caller, order, self.parker_on(user), Some(user), Arrival::Transferred, actor)?;
        self.release_parker(user, &call);
        Ok(call)
    }

    fn park_alone(&self, leg: &Leg<'_>, order: &ParkOrder, actor: &str) -> Result<Call, ActionError> {
        let parker = Parker::named_on(leg).unwrap_or_default();
        self.send_noted(leg, order, parker, None, Arrival::Moved, actor)
    }

    /// Returns the row of a call when its caller has arrived in the slot.
    pub(in crate::service) fn row_when_arrived(&self, call: &Call) -> CallRow {
        let until = freeswitch::now().after(ARRIVAL_TIME);
        loop {
            let now = self.call_of(&call.info.uuid);
            let is_there = now.as_ref().is_none_or(|call| !call.is_reserved());
            if is_there || freeswitch::now() >= until {
                return self.row(now.as_ref().unwrap_or(call));
            }
            std::thread::sleep(ARRIVAL_CHECK_INTERVAL);
        }
    }

    /// Sends a leg to a slot, and notes who did it for the event.
    fn send_noted(
        &self,
        leg: &Leg<'_>,
        order: &ParkOrder,
        parker: Parker,
        by: Option<&Leg<'_>>,
        arrival: Arrival,
        actor: &str,
    ) -> Result<Call, ActionError> {
        let uuid = leg.uuid();
        if let Some(parked) = self.call_of(&uuid) {
            return Err(Refusal::AlreadyParked(parked.info.slot.clone()).into());
        }
        self.note_actor(&uuid, Some(actor), EventKind::Park);
        let sent = self.send_to_slot(&uuid, order, parker, by, arrival);
        Ok(sent.inspect_err(|_| drop(self.withdraw_actor(&uuid, EventKind::Park)))?)
    }
}

/// Whether a leg that belongs to no user is among the calls that somebody may park: it must name the domain itself.
fn includes_nobodys(of: &CallsOf, leg: &Leg<'_>) -> bool {
    match of {
        CallsOf::User(_) => false,
        CallsOf::Domain(own) => identity::own_domain(leg).is_some_and(|domain| domain.eq_ignore_ascii_case(own)),
        CallsOf::Everybody => true,
    }
}
