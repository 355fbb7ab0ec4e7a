//! Makes the requests to the rules for legs that are to be parked.

use std::sync::Arc;

use super::ParkOrder;
use crate::config::{ValueError, parse_bool, parse_destination, parse_ringback, seconds};
use crate::freeswitch::{self, Leg};
use crate::parking::{Arrival, CallOverrides, LotName, LotSelector, LotSettings, ParkRequest, ParkedBy, RingBack};
use crate::service::call_log::log_call;
use crate::service::identity::Parker;
use crate::service::{ParkingService, entropy, identity};

impl ParkingService {
    /// Returns the lot of an order, `main@example.com`.
    pub(super) fn lot_of_order(&self, leg: &Leg<'_>, order: &ParkOrder) -> Option<String> {
        let place = self.lot_selector(leg, order.lot.clone(), None);
        self.table.lock().resolve(&place, order.wanted.slot()).ok().map(|lot| lot.to_string())
    }

    /// Returns the settings for a request: those of the lot, with the overrides of the leg.
    pub(in crate::service) fn settings_for(&self, request: &ParkRequest) -> Arc<LotSettings> {
        let settings = self.table.lock().settings_at(&request.place, request.wanted.slot());
        request.overrides.apply(&settings)
    }

    /// Makes the request for a leg that runs an application.
    pub(super) fn request_on(&self, leg: &Leg<'_>, order: &ParkOrder, arrival: Arrival, parker: Parker) -> ParkRequest {
        let place = self.place_of_arrival(leg, order.lot.clone(), arrival, &parker);
        ParkRequest { place, ..self.request(leg, order, parker, None) }
    }

    /// Selects the lot for a leg by the way it has arrived. A transfer goes into a lot of the domain of the user who transfers, whoever the caller
    /// is.
    pub(in crate::service) fn place_of_arrival(
        &self,
        leg: &Leg<'_>,
        lot: Option<LotName>,
        arrival: Arrival,
        parker: &Parker,
    ) -> LotSelector {
        let transfers = arrival == Arrival::Transferred && matches!(parker.parked_by(), ParkedBy::User(_));
        let mut place = self.lot_selector(leg, lot, parker.domain.clone());
        place.domains.splice(0..0, parker.domain.clone().filter(|_| transfers));
        place
    }

    /// Makes the request for a leg. `by` is the leg of the conversation from which it is parked.
    pub(in crate::service) fn request(
        &self,
        leg: &Leg<'_>,
        order: &ParkOrder,
        parker: Parker,
        by: Option<&Leg<'_>>,
    ) -> ParkRequest {
        let mut request = ParkRequest {
            uuid: leg.uuid().into(),
            place: self.lot_selector(leg, order.lot.clone(), parker.domain),
            wanted: order.wanted.clone(),
            caller: identity::party(leg).into(),
            parker: parker.name.into(),
            label: leg.var("callpark_label").unwrap_or_default(),
            overrides: overrides(leg).or(order.overrides.clone()),
            parked_at_ms: freeswitch::epoch_ms(),
            entropy: entropy(),
        };
        if let Some(by) = by {
            // The parker's domain counts before that of an outside caller, who may have come in by another tenant's number.
            request.place.domains.insert(0, self.domain_of(by));
            request.place.any &= identity::own_domain(by).is_none();
        }
        if let Some(dial) = parker.dial_string.filter(|_| self.settings_for(&request).ringback == RingBack::Parker) {
            request.overrides.ringback = Some(RingBack::DialString(dial));
        }
        request
    }
}

/// Returns the settings that the variables of a leg override. An invalid one is ignored and logged, because a typing error in a
/// dialplan must not prevent parking.
fn overrides(leg: &Leg<'_>) -> CallOverrides {
    CallOverrides {
        park_timeout: amended(leg, "callpark_timeout", |value| seconds(value, 0)),
        ringback: amended(leg, "callpark_ringback", parse_ringback),
        ringback_timeout: amended(leg, "callpark_ringback_timeout", |value| seconds(value, 1)),
        fallback: amended(leg, "callpark_fallback", parse_destination),
        hold_music: leg.var("callpark_hold_music"),
        announce: amended(leg, "callpark_announce", parse_bool),
        ..CallOverrides::default()
    }
}

fn amended<T>(leg: &Leg<'_>, name: &str, read: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
    let value = leg.var(name)?;
    let ignored =
        |cause| log_call!(Warning, leg, variable = name, value = value, cause = cause; "ignored channel variable");
    read(&value).map_err(ignored).ok()
}
