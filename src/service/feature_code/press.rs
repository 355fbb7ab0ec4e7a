//! Parks the other party of a user who has pressed the feature code.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::kept_digits::{KeptDigit, KeptFor};
use crate::freeswitch::{Leg, SessionGuard, Worker};
use crate::parking::SlotRequest;
use crate::service::call_log::log_call;
use crate::service::park::ParkOrder;
use crate::service::{AppResult, ParkingService};

/// The application that parks the other party, on the thread of the user's leg.
const APPLICATION: &CStr = c"callpark_feature_code";

/// The presses of the code that are being handled.
#[derive(Debug, Default)]
pub(super) struct Presses {
    /// The UUID of the other leg, by that of the leg on which the application is to run.
    partners: Mutex<HashMap<String, String>>,
    workers: Mutex<Vec<Worker>>,
}

impl Presses {
    /// Joins all threads.
    pub(super) fn end(&self) {
        let workers = std::mem::take(&mut *self.workers.lock());
        workers.into_iter().for_each(Worker::join);
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
            self.feature_codes.presses.partners.lock().insert(uuid.to_owned(), partner.to_owned());
            leg.start_application(APPLICATION);
        }
    }

    /// Runs the application: parks the other party, if it is still the one of the press.
    pub(crate) fn park_pressed(self: &Arc<Self>, leg: &Leg<'_>) -> AppResult {
        let pressed = self.feature_codes.presses.partners.lock().remove(&leg.uuid());
        match leg.partner().filter(|partner| pressed.as_ref() == Some(partner)) {
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

    /// Forgets a press whose leg has hung up.
    pub(in crate::service) fn forget_press(&self, uuid: &str) {
        self.feature_codes.presses.partners.lock().remove(uuid);
    }
}
