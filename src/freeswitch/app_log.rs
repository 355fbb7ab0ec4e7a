//! Reads what the core has recorded of a leg: its caller profile, and the applications that ran on it.

use super::session::Leg;
use super::text::{from_c, to_c};
use crate::ffi;

/// An application that ran on a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RanApplication {
    pub(crate) name: String,
    /// When it started, in microseconds of the core's clock.
    pub(crate) at: i64,
}

impl Leg<'_> {
    /// A field of the caller profile. Unlike [`Leg::var`], it does not read a channel variable of that name, which a Verto client can set.
    pub(crate) fn profile(&self, field: &str) -> Option<String> {
        let field = to_c(field);
        // SAFETY: the session is kept, and with it the profile, which lives in the session's memory as does the answer.
        unsafe {
            let profile = ffi::switch_channel_get_caller_profile(self.channel());
            if profile.is_null() {
                return None;
            }
            from_c(ffi::switch_caller_get_field_by_name(profile, field.as_ptr()))
        }
        .filter(|value| !value.is_empty())
    }

    /// The applications that ran on this leg, in order. The last one is running.
    pub(crate) fn applications(&self) -> Vec<RanApplication> {
        let mut ran = Vec::new();
        // SAFETY: the session is kept. The list lives in the session's memory; the core only ever adds to its end.
        unsafe {
            let mut next = ffi::switch_core_session_get_app_log(self.as_ptr()).as_ref();
            while let Some(entry) = next {
                ran.push(RanApplication { name: from_c(entry.app).unwrap_or_default(), at: entry.stamp });
                next = entry.next.as_ref();
            }
        }
        ran
    }
}
