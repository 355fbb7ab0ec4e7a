//! Checks who may park and who may retrieve.

use std::sync::Arc;

use super::identity::{Arrival, Parker};
use super::{AppResult, ParkingService, collect_digits, template};
use crate::freeswitch::{self, Leg};
use crate::parking::{LotId, LotSelector, LotSettings, ParkRequest, Refusal, RetrieveTarget, UsersOf};

const PIN_TRIES: usize = 3;

/// The permission of a leg to retrieve from a lot.
pub(super) struct Permitted {
    pub(super) lot: LotId,
    /// The user of the leg; empty if it belongs to none.
    pub(super) user: String,
    /// The settings of the call for which this was checked.
    pub(super) settings: Arc<LotSettings>,
}

impl ParkingService {
    /// Checks whether a leg may be parked. The permission is that of the user who transferred it or pressed a feature code, or of the user of the leg.
    /// What the administrator has decided needs no permission: an extension that parks the caller, a script or a command that moves a leg, and a
    /// feature code or a REFER of an outside party. A caller who chose the extension in a menu needs permission.
    pub(super) fn may_park(
        &self,
        leg: &Leg<'_>,
        request: &ParkRequest,
        arrival: Arrival,
        parker: &Parker,
    ) -> Result<(), Refusal> {
        let Ok(lot) = self.table.lock().resolve(&request.place, request.wanted.slot()) else { return Ok(()) };
        let settings = self.table.lock().settings_at(&request.place, request.wanted.slot());
        let user = match arrival {
            _ if parker.named => return Ok(()),
            Arrival::Moved => return Ok(()),
            Arrival::Transferred if parker.is_proven_user() => parker.name.clone(),
            Arrival::Transferred => String::new(),
            Arrival::Dialled | Arrival::Chosen => self.user_of(leg),
        };
        if user.is_empty() {
            let in_group = arrival == Arrival::Dialled || settings.park_groups.is_empty();
            return match arrival {
                Arrival::Chosen if settings.park_from != UsersOf::Anywhere => {
                    Err(Refusal::NotAllowed("it belongs to no user, and park-from does not let anybody park"))
                }
                _ if !in_group => Err(Refusal::NotAllowed("who parks is in none of the groups that may park there")),
                _ => Ok(()),
            };
        }
        let domain = user.rsplit_once('@').map_or("", |(_, domain)| domain);
        if !settings.park_from.allows(&lot.domain, domain) {
            return Err(Refusal::NotAllowed("users of its domain may not park there"));
        }
        if !(settings.park_groups.is_empty() || in_one_of(&user, &settings.park_groups)) {
            return Err(Refusal::NotAllowed("its user is in none of the groups that may park there"));
        }
        Ok(())
    }

    /// Returns the permission of a leg to retrieve the call that it would get now. Everybody may learn that a slot is empty.
    pub(super) fn may_retrieve(
        &self,
        leg: &Leg<'_>,
        place: &LotSelector,
        pick: &RetrieveTarget,
    ) -> Result<Permitted, AppResult> {
        let permitted = self.permitted(leg, place, pick)?;
        match &permitted.settings.retrieve_pin {
            Some(pin) if !ask_pin(leg, pin) => Err(AppResult::Denied("wrong PIN")),
            _ => Ok(permitted),
        }
    }

    /// Checks the same without asking for the PIN.
    pub(super) fn permitted(
        &self,
        leg: &Leg<'_>,
        place: &LotSelector,
        pick: &RetrieveTarget,
    ) -> Result<Permitted, AppResult> {
        let call = self.table.lock().find_target(place, pick).map_err(AppResult::Refused)?;
        let (settings, lot) = (call.info.settings.clone(), call.info.lot.clone());
        let user = self.user_of(leg);
        if user.is_empty() && !settings.retrieve_anonymous && settings.retrieve_pin.is_none() {
            return Err(AppResult::Denied(
                "it belongs to no user, and the lot has neither retrieve-anonymous nor a PIN",
            ));
        }
        let domain = self.domain_of(leg);
        // A leg of no domain counts as one of the usual domain, or, if that has no lots, of the lot's.
        let of_there = place.any && user.is_empty() && !self.table.lock().has_lots(&domain);
        let domain = if of_there { lot.domain.to_string() } else { domain };
        if !settings.retrieve_from.allows(&lot.domain, &domain) {
            return Err(AppResult::Denied("users of its domain may not retrieve there"));
        }
        if !(settings.retrieve_groups.is_empty() || in_one_of(&user, &settings.retrieve_groups)) {
            return Err(AppResult::Denied("its user is in none of the groups that may retrieve there"));
        }
        Ok(Permitted { lot, user, settings })
    }
}

/// Whether the directory has a user in one of the groups.
fn in_one_of(user: &str, groups: &[String]) -> bool {
    template::is_address(user)
        && groups.iter().any(|group| freeswitch::api("in_group", &format!("{user},{group}")).trim() == "true")
}

fn ask_pin(leg: &Leg<'_>, pin: &str) -> bool {
    let right = || {
        collect_digits::collect_digits(leg, c"callpark_ask_pin", pin.len())
            .is_some_and(|typed| equal_in_constant_time(&typed, pin))
    };
    leg.answer_and_anchor_media() && (0..PIN_TRIES).any(|_| leg.ready() && right())
}

/// Compares in constant time.
fn equal_in_constant_time(given: &str, pin: &str) -> bool {
    given.len() == pin.len() && given.bytes().zip(pin.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
