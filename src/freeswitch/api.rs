//! Runs API commands of other modules, and sends messages to phones.

use std::ptr;

use super::output_stream::collect;
use super::text::{inert_to_c, to_c};
use crate::ffi::{self, switch_bool_t as Bool};
use crate::parking::is_name;

/// Runs an API command on this thread and returns its answer. FreeSWITCH does not expand `argument`.
pub(crate) fn api(command: &str, argument: &str) -> String {
    let (command, argument) = (to_c(command), to_c(argument));
    collect(1024, |stream| {
        // SAFETY: the texts and the stream live through the call, which is synchronous.
        unsafe { ffi::switch_api_execute(command.as_ptr(), argument.as_ptr(), ptr::null_mut(), stream) };
    })
}

/// Whether the directory has a domain. It is also true if that cannot be found out.
pub(crate) fn has_domain(name: &str) -> bool {
    is_name(name) && api("domain_exists", name).trim() != "false"
}

/// Whether the directory has a user. The caller of this function checks that the name has no character that the command would interpret.
pub(crate) fn has_user(name: &str, domain: &str) -> bool {
    api("user_exists", &format!("id {name} {domain}")).trim() == "true"
}

/// A variable of a user (`1001@example.com`) in the directory. The caller of this function checks that the address has no character that the command
/// would interpret.
pub(crate) fn user_variable(user: &str, name: &str) -> Option<String> {
    Some(api("user_data", &format!("{user} var {name}")).trim().to_owned()).filter(|value| !value.is_empty())
}

/// Whether an address is in an ACL list, or in a network such as `10.0.0.0/24`.
pub(crate) fn in_network(address: &str, list: &str) -> bool {
    api("acl", &format!("{address} {list}")).trim() == "true"
}

/// The dialplans of a SIP profile (`callpark,XML`), in the order in which they are asked.
pub(crate) fn profile_dialplan(profile: &str) -> Option<String> {
    let status = is_name(profile).then(|| api("sofia", &format!("xmlstatus profile {profile}")))?;
    let (_, from) = status.split_once("<dialplan>")?;
    from.split_once("</dialplan>").map(|(dialplans, _)| dialplans.to_owned())
}

/// Whether FreeSWITCH has a module loaded.
pub(crate) fn module_loaded(name: &str) -> bool {
    api("module_exists", name).trim() == "true"
}

/// Whether mod_valet_parking is loaded, whose interface and lamps this module has too.
pub(crate) fn valet_parking_loaded() -> bool {
    module_loaded("mod_valet_parking")
}

/// Queues a text message for a SIP user. A thread of the core sends it; whether it is delivered is not reported.
pub(crate) fn send_message(from: &str, to: &str, text: &str) -> bool {
    let (from, to, text) = (to_c(from), to_c(to), inert_to_c(text));
    // SAFETY: static and local C strings, copied by the core before this returns.
    let status = unsafe {
        ffi::switch_core_chat_send_args(
            c"sip".as_ptr(),
            // mod_sofia drops the sender of a message whose protocol is `sip` (sofia_presence_chat_send).
            c"global".as_ptr(),
            from.as_ptr(),
            to.as_ptr(),
            c"".as_ptr(),
            text.as_ptr(),
            c"text/plain".as_ptr(),
            ptr::null(),
            Bool::SWITCH_FALSE,
        )
    };
    status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
