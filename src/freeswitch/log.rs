//! The `log` crate's records on FreeSWITCH's console and in its log file.

use std::ffi::{CStr, c_int};

use super::text::to_c;
use crate::ffi;

struct Console;

impl log::Log for Console {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // Libraries' own chatter stays out of the operator's log.
        metadata.target().starts_with("mod_callpark")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Error => ffi::switch_log_level_t::SWITCH_LOG_ERROR,
            log::Level::Warn => ffi::switch_log_level_t::SWITCH_LOG_WARNING,
            log::Level::Info => ffi::switch_log_level_t::SWITCH_LOG_NOTICE,
            log::Level::Debug => ffi::switch_log_level_t::SWITCH_LOG_INFO,
            log::Level::Trace => ffi::switch_log_level_t::SWITCH_LOG_DEBUG,
        };
        let file = to_c(record.file().unwrap_or("mod_callpark"));
        let line = c_int::try_from(record.line().unwrap_or(0)).unwrap_or(0);
        let one_line = record.args().to_string().replace(['\r', '\n'], " ");
        let text = to_c(&format!("callpark: {one_line}\n"));
        // SAFETY: every pointer is a C string that lives through the call; the only conversion in the constant
        // format is %s, so text from callers is never a format.
        unsafe {
            ffi::switch_log_printf(
                ffi::switch_text_channel_t::SWITCH_CHANNEL_ID_LOG,
                file.as_ptr(),
                c"callpark".as_ptr(),
                line,
                std::ptr::null(),
                level,
                FORMAT.as_ptr(),
                text.as_ptr(),
            );
        }
    }

    fn flush(&self) {}
}

const FORMAT: &CStr = c"%s";

/// Sends log records to FreeSWITCH. Again does no harm: a reloaded module may meet its old statics.
pub(crate) fn install() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}
