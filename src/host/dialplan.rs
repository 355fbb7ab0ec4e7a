//! Whether a destination exists, before a caller is sent to it.

use std::ffi::c_int;
use std::ptr;

use super::session::Leg;
use super::text::{from_c, to_c};
use crate::ffi;
use crate::parking::Destination;

impl Leg<'_> {
    /// Looks `destination` up as the core would if this leg were sent there, and whether every application in it is loaded:
    /// the core hangs a caller up over either. The error says what is missing.
    pub(crate) fn can_reach(&self, destination: &Destination) -> Result<(), String> {
        // In the order in which a transfer looks for them (switch_ivr_session_transfer in switch_ivr.c). A leg that came by an inline
        // transfer is in no dialplan in which an extension could be looked up.
        let own_dialplan = || self.var("dialplan").filter(|dialplan| !dialplan.eq_ignore_ascii_case("inline"));
        let dialplans =
            destination.dialplan.clone().or_else(|| self.var("force_transfer_dialplan")).or_else(own_dialplan);
        let dialplans = dialplans.unwrap_or_else(|| "XML".to_owned());
        let context =
            destination.context.clone().or_else(|| self.var("force_transfer_context")).or_else(|| self.var("context"));
        let context = context.unwrap_or_else(|| "default".to_owned());
        let missing = || format!("no extension {} in context {context} of dialplan {dialplans}", destination.extension);
        let applications = dialplans
            .split(',')
            .find_map(|dialplan| self.applications_at(dialplan, &context, &destination.extension))
            .ok_or_else(missing)?;
        match applications.iter().find(|name| !application_exists(name)) {
            Some(name) => Err(format!("extension {} uses {name}, which no module has", destination.extension)),
            None => Ok(()),
        }
    }

    /// The applications an extension would run; `None` if the dialplan has none for it.
    fn applications_at(&self, dialplan: &str, context: &str, extension: &str) -> Option<Vec<String>> {
        let (name, argument) = match dialplan.split_once(':') {
            Some((name, argument)) => (name, Some(to_c(argument))),
            None => (dialplan, None),
        };
        let (name, context, extension) = (to_c(name.trim()), to_c(context), to_c(extension));
        let field = |name: &str| to_c(&self.var(name).unwrap_or_default());
        let (caller_name, caller_number) = (field("caller_id_name"), field("caller_id_number"));
        let argument = argument.as_ref().map_or(ptr::null(), |argument| argument.as_ptr());
        // SAFETY: the texts live through the calls, and what the core keeps it copies into the session's pool, which stays
        // with the session. The interface is held from `get` to `let_go`, and the dialplan's module with it.
        unsafe {
            let interface = ffi::switch_loadable_module_get_dialplan_interface(name.as_ptr());
            let it = interface.as_mut()?;
            let profile = ffi::switch_caller_profile_new(
                ffi::switch_core_session_get_pool(self.as_ptr()),
                ptr::null(),
                name.as_ptr(),
                caller_name.as_ptr(),
                caller_number.as_ptr(),
                ptr::null(),
                ptr::null(),
                ptr::null(),
                ptr::null(),
                c"mod_callpark".as_ptr(),
                context.as_ptr(),
                extension.as_ptr(),
            );
            let found = match it.hunt_function {
                Some(hunt) if !profile.is_null() => hunt(self.as_ptr(), argument.cast_mut().cast(), profile),
                _ => ptr::null_mut(),
            };
            let applications = found.as_ref().map(|extension| names(extension.applications));
            let_go(it.rwlock, &mut it.refs, it.reflock, it.parent);
            applications
        }
    }
}

/// # Safety
/// `first` is NULL or the head of a list that stays.
unsafe fn names(first: *const ffi::switch_caller_application_t) -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: by this function's contract; each `next` is NULL or the next of the list.
    let mut next = unsafe { first.as_ref() };
    while let Some(application) = next {
        // SAFETY: as above; the name is a C string of the list's own.
        unsafe {
            names.extend(from_c(application.application_name));
            next = application.next.as_ref();
        }
    }
    names
}

/// `app` or `app::data`, as a dialplan may write it.
fn application_exists(name: &str) -> bool {
    let name = to_c(name.split("::").next().unwrap_or(name));
    // SAFETY: the name lives through the call; what the core answers with is held, and given back at once.
    unsafe {
        let found = ffi::switch_loadable_module_get_application_interface(name.as_ptr()).as_mut();
        found.map(|it| let_go(it.rwlock, &mut it.refs, it.reflock, it.parent)).is_some()
    }
}

/// Gives an interface back: what the host's own macro does (UNPROTECT_INTERFACE in `switch_module_interfaces.h`).
///
/// # Safety
/// The four are fields of one interface that the core handed out, and it is given back once.
unsafe fn let_go(
    rwlock: *mut ffi::switch_thread_rwlock_t,
    refs: &mut c_int,
    reflock: *mut ffi::switch_mutex_t,
    module: *mut ffi::switch_loadable_module_interface_t,
) {
    // SAFETY: by this function's contract both the interface and its module stay until the last line.
    unsafe {
        ffi::switch_mutex_lock(reflock);
        *refs -= 1;
        (*module).refs -= 1;
        ffi::switch_mutex_unlock(reflock);
        ffi::switch_thread_rwlock_unlock(rwlock);
        ffi::switch_thread_rwlock_unlock((*module).rwlock);
    }
}
