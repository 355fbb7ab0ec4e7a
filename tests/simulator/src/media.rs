//! The functions for shared music, which is sent to a leg from another thread. No simulated leg has RTP, so the module never calls most of them:
//! each leg plays its own music, in virtual time. Shared music is tested on a real FreeSWITCH.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;

use crate::core::enter;
use crate::ffi::{self, switch_status_t as Status};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_media_handle(
    _session: *mut ffi::switch_core_session_t,
) -> *mut ffi::switch_media_handle_t {
    drop(enter("switch_core_session_get_media_handle"));
    ptr::null_mut()
}

/// Defines functions that may only be called for a leg with RTP.
macro_rules! not_without_rtp {
    ($($name:ident($($argument:ty),+) $(-> $answer:ty)?;)+) => {
        $(
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name($(_: $argument),+) $(-> $answer)? {
                eprintln!("{} was called, and no leg has RTP", stringify!($name));
                std::process::abort()
            }
        )+
    };
}

not_without_rtp! {
    switch_core_perform_file_open(*const c_char, *const c_char, c_int, *mut ffi::switch_file_handle_t, *const c_char, u32, u32, c_uint, *mut ffi::switch_memory_pool_t) -> Status;
    switch_core_file_read(*mut ffi::switch_file_handle_t, *mut c_void, *mut ffi::switch_size_t) -> Status;
    switch_core_file_close(*mut ffi::switch_file_handle_t) -> Status;
    switch_core_codec_init_with_bitrate(*mut ffi::switch_codec_t, *const c_char, *const c_char, *const c_char, u32, c_int, c_int, u32, u32, *const ffi::switch_codec_settings_t, *mut ffi::switch_memory_pool_t) -> Status;
    switch_core_codec_encode(*mut ffi::switch_codec_t, *mut ffi::switch_codec_t, *mut c_void, u32, u32, *mut c_void, *mut u32, *mut u32, *mut c_uint) -> Status;
    switch_core_codec_destroy(*mut ffi::switch_codec_t) -> Status;
    switch_core_session_get_write_codec(*mut ffi::switch_core_session_t) -> *mut ffi::switch_codec_t;
    switch_core_session_media_flow(*mut ffi::switch_core_session_t, ffi::switch_media_type_t) -> ffi::switch_media_flow_t;
    switch_rtp_write_frame(*mut ffi::switch_rtp_t, *mut ffi::switch_frame_t) -> c_int;
    switch_core_session_read_frame(*mut ffi::switch_core_session_t, *mut *mut ffi::switch_frame_t, ffi::switch_io_flag_t, c_int) -> Status;
    switch_core_session_perform_receive_message(*mut ffi::switch_core_session_t, *mut ffi::switch_core_session_message_t, *const c_char, *const c_char, c_int) -> Status;
    switch_core_session_private_event_count(*mut ffi::switch_core_session_t) -> u32;
    switch_core_media_bug_enumerate(*mut ffi::switch_core_session_t, *mut ffi::switch_stream_handle_t) -> Status;
    switch_core_media_ready(*mut ffi::switch_core_session_t, ffi::switch_media_type_t) -> u8;
    switch_core_media_get_rtp_session(*mut ffi::switch_core_session_t, ffi::switch_media_type_t) -> *mut ffi::switch_rtp_t;
    switch_core_media_clear_rtp_flag(*mut ffi::switch_core_session_t, ffi::switch_media_type_t, ffi::switch_rtp_flag_t);
    switch_rtp_get_jitter_buffer(*mut ffi::switch_rtp_t) -> *mut ffi::switch_jb_t;
    switch_core_media_get_mparams(*mut ffi::switch_media_handle_t) -> *mut ffi::switch_core_media_params_t;
    switch_rtp_set_max_missed_packets(*mut ffi::switch_rtp_t, u32);
    switch_rtp_get_default_payload(*mut ffi::switch_rtp_t) -> u32;
    switch_rtp_test_flag(*mut ffi::switch_rtp_t, ffi::switch_rtp_flag_t) -> u32;
    switch_rtp_set_flag(*mut ffi::switch_rtp_t, ffi::switch_rtp_flag_t);
    switch_rtp_clear_flag(*mut ffi::switch_rtp_t, ffi::switch_rtp_flag_t);
    switch_rtp_get_rtp_socket(*mut ffi::switch_rtp_t) -> *mut ffi::switch_socket_t;
    switch_socket_fd_get(*mut ffi::switch_socket_t) -> c_int;
    switch_core_media_get_stats(*mut ffi::switch_core_session_t, ffi::switch_media_type_t, *mut ffi::switch_memory_pool_t) -> *mut ffi::switch_rtp_stats_t;
    switch_core_event_hook_add_kill_channel(*mut ffi::switch_core_session_t, ffi::switch_kill_channel_hook_t) -> Status;
    switch_core_event_hook_remove_kill_channel(*mut ffi::switch_core_session_t, ffi::switch_kill_channel_hook_t) -> Status;
    switch_channel_has_dtmf(*mut ffi::switch_channel_t) -> ffi::switch_size_t;
    switch_channel_dequeue_dtmf(*mut ffi::switch_channel_t, *mut ffi::switch_dtmf_t) -> Status;
    switch_ivr_parse_all_messages(*mut ffi::switch_core_session_t) -> Status;
}
