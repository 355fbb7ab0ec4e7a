//! Registers a dialplan, which FreeSWITCH asks for the application that handles a number.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use super::guard::fence;
use super::module_table::Interfaces;
use super::session::Leg;
use super::state_lookup::StateLookup;
use super::text::{from_c, to_c};
use crate::ffi;

/// An application and its data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DialplanStep {
    pub(crate) application: &'static CStr,
    pub(crate) data: String,
}

/// A dialplan. FreeSWITCH asks it on the thread of the leg.
pub(crate) trait Dialplan {
    /// What it works with.
    type Context;
    const NAME: &'static CStr;

    /// Returns the application for a number. `None`: FreeSWITCH asks the next dialplan of the leg.
    fn find(context: &Arc<Self::Context>, leg: &Leg<'_>, number: &str) -> Option<DialplanStep>;
}

/// Registers the dialplan `D`. Returns false if FreeSWITCH has no memory for it.
pub(crate) fn add_dialplan<D: Dialplan, W: StateLookup<D::Context>>(interfaces: &mut Interfaces<'_>) -> bool {
    let kind = ffi::switch_module_interface_name_t::SWITCH_DIALPLAN_INTERFACE;
    let Some(entry) = interfaces.add::<ffi::switch_dialplan_interface_t>(kind) else { return false };
    entry.interface_name = D::NAME.as_ptr();
    entry.hunt_function = Some(hunt::<D, W>);
    true
}

/// `profile` is NULL, or the profile with the number for `execute_extension`.
unsafe extern "C" fn hunt<D: Dialplan, W: StateLookup<D::Context>>(
    session: *mut ffi::switch_core_session_t,
    _argument: *mut c_void,
    profile: *mut ffi::switch_caller_profile_t,
) -> *mut ffi::switch_caller_extension_t {
    fence("dialplan", ptr::null_mut(), || {
        // SAFETY: the core calls this on the session's own thread, so the session outlives the call (switch_core_state_machine.c).
        let leg = unsafe { Leg::running(session) };
        let found = leg.zip(W::find()).and_then(|(leg, context)| {
            let number = match profile.is_null() {
                true => leg.profile("destination_number"),
                // SAFETY: the profile and its fields outlive the call.
                false => unsafe {
                    from_c(ffi::switch_caller_get_field_by_name(profile, c"destination_number".as_ptr()))
                },
            }?;
            let step = D::find(&context, &leg, &number)?;
            Some(leg.extension(&number, &step))
        });
        found.unwrap_or(ptr::null_mut())
    })
}

impl Leg<'_> {
    /// Makes an extension of one application. It is in the memory of the session.
    fn extension(&self, number: &str, step: &DialplanStep) -> *mut ffi::switch_caller_extension_t {
        let (number, data) = (to_c(number), to_c(&step.data));
        // SAFETY: the session is kept; the texts live through the calls and are copied. The core ends the process if it has no memory.
        unsafe {
            let extension = ffi::switch_caller_extension_new(self.as_ptr(), step.application.as_ptr(), number.as_ptr());
            if !extension.is_null() {
                ffi::switch_caller_extension_add_application(
                    self.as_ptr(),
                    extension,
                    step.application.as_ptr(),
                    data.as_ptr(),
                );
            }
            extension
        }
    }
}
