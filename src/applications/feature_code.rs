//! The application `callpark_feature_code`, which the module itself starts on the leg of a user who has pressed the feature code.

use std::ffi::CStr;
use std::sync::Arc;

use super::serve;
use crate::freeswitch::{Application, Leg};
use crate::service::ParkingService;

pub(crate) struct PressedFeatureCode;

impl Application for PressedFeatureCode {
    type Context = ParkingService;
    const NAME: &'static CStr = c"callpark_feature_code";
    const SHORT_DESCRIPTION: &'static CStr = c"Park the other party of a user who has pressed the feature code";
    const LONG_DESCRIPTION: &'static CStr = c"Is started by the module itself. In a dialplan it does nothing.";
    const SYNTAX: &'static CStr = c"";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, _data: &str) {
        serve(service, leg, |service, leg| service.park_pressed(leg));
    }

    /// The conversation continues.
    fn after_panic(_service: Option<Arc<ParkingService>>, _leg: Leg<'_>) -> bool {
        true
    }
}
