//! Hangup causes.

use std::ffi::c_char;
use std::fmt;

use crate::core::enter;
use crate::ffi;

/// A hangup cause, by FreeSWITCH's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub(crate) u32);

macro_rules! causes {
    ($($name:ident = $number:literal),* $(,)?) => {
        impl Cause {
            $(pub const $name: Cause = Cause($number);)*

            fn c_name(self) -> &'static std::ffi::CStr {
                const TABLE: &[(u32, &str)] = &[$(($number, concat!(stringify!($name), "\0"))),*];
                let found = TABLE.iter().find(|(number, _)| *number == self.0);
                let bytes = found.map_or("UNKNOWN\0", |(_, name)| name).as_bytes();
                std::ffi::CStr::from_bytes_with_nul(bytes).unwrap_or_default()
            }

            /// The cause with this name, or `None`.
            pub fn named(name: &str) -> Option<Cause> {
                match name {
                    $(stringify!($name) => Some(Cause::$name),)*
                    _ => None,
                }
            }
        }
    };
}

causes! {
    NONE = 0,
    UNALLOCATED_NUMBER = 1,
    NO_ROUTE_DESTINATION = 3,
    NORMAL_CLEARING = 16,
    USER_BUSY = 17,
    NO_ANSWER = 19,
    SUBSCRIBER_ABSENT = 20,
    CALL_REJECTED = 21,
    EXCHANGE_ROUTING_ERROR = 25,
    DESTINATION_OUT_OF_ORDER = 27,
    NORMAL_TEMPORARY_FAILURE = 41,
    INCOMPATIBLE_DESTINATION = 88,
    ORIGINATOR_CANCEL = 487,
    LOSE_RACE = 702,
    MANAGER_REQUEST = 703,
    BLIND_TRANSFER = 800,
    ATTENDED_TRANSFER = 801,
    USER_NOT_REGISTERED = 806,
}

const _: () = assert!(
    Cause::NORMAL_CLEARING.0 == ffi::switch_call_cause_t::SWITCH_CAUSE_NORMAL_CLEARING.0
        && Cause::LOSE_RACE.0 == ffi::switch_call_cause_t::SWITCH_CAUSE_LOSE_RACE.0
);

impl Cause {
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    pub(crate) fn to_host(self) -> ffi::switch_call_cause_t {
        ffi::switch_call_cause_t(self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_cause2str(cause: ffi::switch_call_cause_t) -> *const c_char {
    enter("switch_channel_cause2str");
    Cause(cause.0).c_name().as_ptr()
}
