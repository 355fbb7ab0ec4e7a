//! Parks the other party of a user who has pressed the feature code.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::kept_digits::{KeptDigit, KeptFor};
use crate::freeswitch::{Leg, SessionGuard, VariableValues, Worker};
use crate::parking::SlotRequest;
use crate::service::call_log::log_call;
use crate::service::park::ParkOrder;
use crate::service::wait::AFTER_BRIDGE_VARIABLES;
use crate::service::{AppResult, ParkingService};

/// The application that parks the other party, on the thread of the user's leg.
const APPLICATION: &CStr = c"callpark_feature_code";

/// The variable that tells the core where a leg goes after its conversation, and the value by which it is parked.
const AFTER_BRIDGE: (&str, &str) = ("transfer_after_bridge", "callpark_park:inline");

/// The presses of the code that are being handled.
#[derive(Debug, Default)]
pub(super) struct Presses {
    /// By the UUID of the leg that is to be parked.
    by_partner: Mutex<HashMap<String, Press>>,
    workers: Mutex<Vec<Worker>>,
}

/// A press of the code that counts.
///
/// The core runs the application only after a tenth of a second. If the user hangs up meanwhile, the other leg goes to its slot because its
/// variables say so.
#[derive(Debug)]
struct Press {
    /// The UUID of the user's leg.
    presser: String,
    /// What the other leg would do after the conversation otherwise.
    after_bridge: VariableValues,
}

impl Presses {
    /// Joins all threads. No leg is parked by a press any more.
    pub(super) fn end(&self) {
        let workers = std::mem::take(&mut *self.workers.lock());
        workers.into_iter().for_each(Worker::join);
        let presses = std::mem::take(&mut *self.by_partner.lock());
        for (partner, press) in presses {
            press.restore(&partner);
        }
    }

    /// Has the core park `partner` if the conversation ends now.
    fn begin(&self, presser: &str, partner: &str) {
        let Some(leg) = SessionGuard::find(partner) else { return };
        let mut presses = self.by_partner.lock();
        presses.entry(partner.to_owned()).or_insert_with(|| {
            let after_bridge = VariableValues::of(&leg, &AFTER_BRIDGE_VARIABLES);
            after_bridge.remove(&leg);
            let (name, value) = AFTER_BRIDGE;
            leg.set_var(name, value);
            Press { presser: presser.to_owned(), after_bridge }
        });
    }

    /// Whether the user of the leg `presser` has pressed the code to park `partner`.
    fn has(&self, presser: &str, partner: &str) -> bool {
        self.by_partner.lock().get(partner).is_some_and(|press| press.presser == presser)
    }

    /// Takes the press for a leg, if it fits.
    fn take_if(&self, partner: &str, fits: impl FnOnce(&Press) -> bool) -> Option<Press> {
        let mut presses = self.by_partner.lock();
        presses.get(partner).is_some_and(fits).then(|| presses.remove(partner)).flatten()
    }

    fn start(&self, body: impl FnOnce() + Send + 'static) -> bool {
        let started = Worker::start("feature code", body);
        let worker =
            started.inspect_err(|error| log::error!(cause:% = error; "feature code is ignored, there is no thread"));
        let mut workers = self.workers.lock();
        workers.retain(|worker| !worker.is_over());
        worker.map(|worker| workers.push(worker)).is_ok()
    }
}

impl Press {
    fn restore(&self, partner: &str) {
        if let Some(leg) = SessionGuard::find(partner) {
            self.after_bridge.restore(&leg);
        }
    }
}

impl ParkingService {
    /// Handles the complete code. `digits` are the code. Returns false if there is no thread for that.
    pub(super) fn start_press(self: &Arc<Self>, leg: &Leg<'_>, digits: Vec<KeptDigit>) -> bool {
        let (Some(partner), uuid) = (leg.partner(), leg.uuid()) else { return false };
        let length = digits.len();
        if !self.keep_digits(&uuid, digits, KeptFor::Decision) {
            return false;
        }
        let (service, own) = (Arc::clone(self), uuid.clone());
        let is_started = self.feature_codes.presses.start(move || service.decide_press(&own, &partner, length));
        if !is_started {
            self.feature_codes.kept.take(&uuid);
        }
        is_started
    }

    /// Starts the application, if the leg belongs to a user. Otherwise all its digits go to the other party. `length` is that of the code.
    fn decide_press(&self, uuid: &str, partner: &str, length: usize) {
        let Some(leg) = SessionGuard::find(uuid) else {
            drop(self.feature_codes.kept.take(uuid));
            return;
        };
        let is_user = !self.user_of(&leg).is_empty();
        let counts = leg.with_digits_locked(|| {
            let kept = self.feature_codes.kept.take(uuid);
            // If the decision has taken too long, they have been passed on already.
            let counts = is_user && !kept.is_empty();
            KeptDigit::release(&leg, kept.into_iter().skip(if counts { length } else { 0 }));
            counts
        });
        if counts {
            log_call!(Debug, &*leg, partner = partner; "user pressed the feature code");
            self.feature_codes.presses.begin(uuid, partner);
            leg.start_application(APPLICATION);
        }
    }

    /// Runs the application: parks the other party, if it is still the one of the press.
    pub(crate) fn park_pressed(self: &Arc<Self>, leg: &Leg<'_>) -> AppResult {
        let presses = &self.feature_codes.presses;
        match leg.partner().filter(|partner| presses.has(&leg.uuid(), partner)) {
            Some(partner) => {
                let order = ParkOrder::new(SlotRequest::Auto, None);
                self.park_partner(leg, &partner, &order)
            }
            None => {
                log_call!(Info, leg; "feature code has no effect, the conversation is over");
                AppResult::LegGone
            }
        }
    }

    /// Ends the press for a leg whose way has been decided.
    pub(in crate::service) fn end_press(&self, partner: &str) {
        if let Some(press) = self.feature_codes.presses.take_if(partner, |_| true) {
            press.restore(partner);
        }
    }

    /// Ends the press for a leg that is in another conversation now.
    pub(in crate::service) fn end_press_of_others(&self, leg: &Leg<'_>, partner: &Leg<'_>) {
        let uuid = leg.uuid();
        if let Some(press) = self.feature_codes.presses.take_if(&uuid, |press| press.presser != partner.uuid()) {
            press.after_bridge.restore(leg);
        }
    }

    /// Forgets the press for a leg that has hung up.
    pub(in crate::service) fn forget_press(&self, partner: &str) {
        self.feature_codes.presses.by_partner.lock().remove(partner);
    }
}
