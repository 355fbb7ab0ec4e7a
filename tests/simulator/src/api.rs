//! Records the commands of other modules that the module runs and the messages that it sends to phones. Commands are answered as FreeSWITCH with
//! its usual modules would answer them.

use std::collections::HashMap;
use std::ffi::c_char;

use crate::core::{Core, enter};
use crate::ffi::{self, switch_status_t as Status};
use crate::originate::{Phone, User};
use crate::text::from_c;

#[derive(Default)]
pub(crate) struct RecordedRequests {
    /// Command lines.
    pub(crate) commands: Vec<String>,
    /// The recipients and the texts of messages.
    pub(crate) messages: Vec<(String, String)>,
}

/// Answers a command as FreeSWITCH would that has these users, by their addresses (`1001@example.com`).
fn answer(command: &str, argument: &str, users: &HashMap<String, User>) -> String {
    let fixed = match command {
        "user_exists" => match argument.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["id", name, domain] if users.contains_key(&format!("{name}@{domain}")) => "true",
            _ => "false",
        },
        "list_users" => return list_users(argument.strip_prefix("domain ").unwrap_or_default(), users),
        "module_exists" | "in_group" => "false",
        "bgapi" => "+OK Job-UUID: 00000000-0000-0000-0000-000000000000\n",
        "uuid_display" => "+OK Success\n",
        _ => "-ERR command not found\n",
    };
    fixed.to_owned()
}

/// The users of a domain, as mod_commands lists them.
fn list_users(domain: &str, users: &HashMap<String, User>) -> String {
    let columns = "userid|context|domain|group|contact|callgroup|effective_caller_id_name|effective_caller_id_number\n";
    let of_domain = users.iter().filter_map(|(address, user)| Some((address.split_once('@')?, user)));
    let rows = of_domain.filter(|((_, own), _)| *own == domain).map(|((name, _), user)| {
        let contact =
            if user.phone == Phone::Unregistered { "error/user_not_registered" } else { "sofia/internal/sip:phone" };
        let shown = user.variables.iter().find(|(variable, _)| variable == "effective_caller_id_name");
        let shown = shown.map_or("", |(_, value)| value.as_str());
        format!("{name}|default|{domain}|default|{contact}||{shown}|{name}\n")
    });
    columns.to_owned() + &rows.collect::<String>() + "\n+OK\n"
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_api_execute(
    command: *const c_char,
    argument: *const c_char,
    _session: *mut ffi::switch_core_session_t,
    stream: *mut ffi::switch_stream_handle_t,
) -> Status {
    let call = enter("switch_api_execute");
    // SAFETY: C strings, and a stream of the module with the functions below, that live through the call.
    unsafe {
        let (command, argument) = (from_c(command).unwrap_or_default(), from_c(argument).unwrap_or_default());
        let answer = |core: &Core| answer(&command, &argument, &core.state().users);
        let mut text = if call.fails { Vec::new() } else { answer(&call.core).into_bytes() };
        call.core.state().asked.commands.push(format!("{command} {argument}"));
        if let Some(write) = stream.as_ref().and_then(|stream| stream.raw_write_function) {
            write(stream, text.as_mut_ptr(), text.len());
        }
    }
    Status::SWITCH_STATUS_SUCCESS
}

/// Enlarges the text with realloc, as FreeSWITCH does.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_stream_raw_write(
    stream: *mut ffi::switch_stream_handle_t,
    data: *mut u8,
    length: ffi::switch_size_t,
) -> Status {
    // SAFETY: the stream is the module's, initialized as by FreeSWITCH's macro, and the data has the given length.
    unsafe {
        let stream = &mut *stream;
        let size = stream.data_len + length + 1;
        if size > stream.data_size {
            stream.data = libc::realloc(stream.data, size);
            stream.data_size = size;
        }
        let end = stream.data.cast::<u8>().add(stream.data_len);
        std::ptr::copy_nonoverlapping(data, end, length);
        *end.add(length) = 0;
        stream.data_len += length;
        stream.end = end.add(length).cast();
    }
    Status::SWITCH_STATUS_SUCCESS
}

/// The function is variadic in FreeSWITCH. Nothing here calls it, and the module only passes its address on.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_stream_write(
    _stream: *mut ffi::switch_stream_handle_t,
    _format: *const c_char,
) -> Status {
    enter("switch_console_stream_write").core.misuse("writes formatted text to a stream itself");
    Status::SWITCH_STATUS_FALSE
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_chat_send_args(
    _dest_proto: *const c_char,
    _proto: *const c_char,
    _from: *const c_char,
    to: *const c_char,
    _subject: *const c_char,
    body: *const c_char,
    _kind: *const c_char,
    _hint: *const c_char,
    _blocking: ffi::switch_bool_t,
) -> Status {
    let call = enter("switch_core_chat_send_args");
    if call.fails {
        return Status::SWITCH_STATUS_FALSE;
    }
    // SAFETY: C strings that live through the call.
    let (to, body) = unsafe { (from_c(to), from_c(body)) };
    call.core.state().asked.messages.push((to.unwrap_or_default(), body.unwrap_or_default()));
    Status::SWITCH_STATUS_SUCCESS
}
