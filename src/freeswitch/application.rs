//! Registers dialplan applications.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use super::guard::fence;
use super::module_table::Interfaces;
use super::session::Leg;
use super::state_lookup::StateLookup;
use super::text::from_c;
use crate::ffi;

/// A dialplan application. It runs on the thread of the leg, and returns when the channel is not ready any more.
///
/// `context` is what it works with, and `None` while the module is being unloaded.
pub(crate) trait Application {
    type Context;
    const NAME: &'static CStr;
    const SHORT_DESCRIPTION: &'static CStr;
    const LONG_DESCRIPTION: &'static CStr;
    const SYNTAX: &'static CStr;

    fn run(context: Option<Arc<Self::Context>>, leg: Leg<'_>, data: &str);

    /// Handles the leg after the application has panicked. Returns true if the application need not run again.
    fn after_panic(context: Option<Arc<Self::Context>>, leg: Leg<'_>) -> bool;
}

/// Registers the application `A`. Returns false if FreeSWITCH has no memory for it.
pub(crate) fn add_application<A: Application, W: StateLookup<A::Context>>(interfaces: &mut Interfaces<'_>) -> bool {
    let kind = ffi::switch_module_interface_name_t::SWITCH_APPLICATION_INTERFACE;
    let Some(entry) = interfaces.add::<ffi::switch_application_interface_t>(kind) else { return false };
    entry.interface_name = A::NAME.as_ptr();
    entry.application_function = Some(trampoline::<A, W>);
    entry.short_desc = A::SHORT_DESCRIPTION.as_ptr();
    entry.long_desc = A::LONG_DESCRIPTION.as_ptr();
    entry.syntax = A::SYNTAX.as_ptr();
    // The application brings bypassed media back itself, so the core must run it on such a leg.
    entry.flags = ffi::switch_application_flag_enum_t::SAF_SUPPORT_NOMEDIA.0;
    true
}

unsafe extern "C" fn trampoline<A: Application, W: StateLookup<A::Context>>(
    session: *mut ffi::switch_core_session_t,
    data: *const c_char,
) {
    // After a panic it runs once more, because continuing it is better for the caller than what the dialplan has next.
    for _ in 0..2 {
        let done = fence(A::NAME.to_str().unwrap_or("application"), false, || {
            // SAFETY: the core calls this on the session's own thread, so the session outlives the call
            // (switch_core_session.c), and data is NULL or a C string for as long.
            let (leg, data) = unsafe { (Leg::running(session), from_c(data)) };
            if let Some(leg) = leg {
                A::run(W::find(), leg, data.as_deref().unwrap_or(""));
            }
            true
        });
        // SAFETY: as above.
        let after_panic = || unsafe { Leg::running(session) }.is_none_or(|leg| A::after_panic(W::find(), leg));
        if done || fence("after a bug", false, after_panic) {
            return;
        }
    }
}
