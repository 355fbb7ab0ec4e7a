//! Removes channel variables for a while, or notes their values, and restores them.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use super::session::Leg;
use crate::ffi;

/// Channel variables that are removed from a leg until this is dropped. They are restored byte for byte, because text that a dialplan has set
/// needs no neutralising.
pub(crate) struct SuspendedVariables<'a> {
    leg: &'a Leg<'a>,
    values: Vec<(&'static CStr, CString)>,
}

impl<'a> SuspendedVariables<'a> {
    pub(crate) fn take(leg: &'a Leg<'a>, names: &[&'static CStr]) -> SuspendedVariables<'a> {
        let values = names.iter().filter_map(|name| value(leg, name).map(|value| (*name, value))).collect();
        let set_aside = SuspendedVariables { leg, values };
        for (name, _) in &set_aside.values {
            put(leg, name, ptr::null());
        }
        set_aside
    }

    /// Restores the variables before this is dropped.
    pub(crate) fn give_back(&mut self) {
        for (name, value) in self.values.drain(..) {
            put(self.leg, name, value.as_ptr());
        }
    }
}

impl Drop for SuspendedVariables<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The values of some channel variables, byte for byte, to be restored later. `None` for a variable that is not set.
#[derive(Debug)]
pub(crate) struct VariableValues(Vec<(&'static CStr, Option<CString>)>);

impl VariableValues {
    pub(crate) fn of(leg: &Leg<'_>, names: &[&'static CStr]) -> VariableValues {
        VariableValues(names.iter().map(|name| (*name, value(leg, name))).collect())
    }

    /// Sets each variable to its value at that time.
    pub(crate) fn restore(&self, leg: &Leg<'_>) {
        for (name, value) in &self.0 {
            put(leg, name, value.as_ref().map_or(ptr::null(), |value| value.as_ptr()));
        }
    }

    /// Removes the variables. Returns the names of those that were set.
    pub(crate) fn remove(&self, leg: &Leg<'_>) -> Vec<&'static CStr> {
        let set: Vec<_> = self.0.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| *name).collect();
        for name in &set {
            put(leg, name, ptr::null());
        }
        set
    }
}

fn value(leg: &Leg<'_>, name: &CStr) -> Option<CString> {
    let copy = ffi::switch_bool_t::SWITCH_TRUE;
    // SAFETY: the name is static; the core copies the value into the session's own memory, so nobody changes it meanwhile.
    unsafe {
        let value = ffi::switch_channel_get_variable_dup(leg.channel(), name.as_ptr(), copy, -1);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
    }
}

fn put(leg: &Leg<'_>, name: &CStr, value: *const c_char) {
    // Not checked for `${`: the value was there before, and the check would drop it.
    let unchecked = ffi::switch_bool_t::SWITCH_FALSE;
    // SAFETY: the name is static, the value NULL or a C string; both are copied.
    unsafe { ffi::switch_channel_set_variable_var_check(leg.channel(), name.as_ptr(), value, unchecked) };
}
