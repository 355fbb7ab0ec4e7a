//! Lists the functions of FreeSWITCH that the module may call.
//!
//! The compiler checks here that each has the type in the headers. The linker keeps each in the program, although only the module calls it.

use crate::ffi;

/// Two functions can be in one array only if they have the same type.
macro_rules! function_table {
    ($($module:ident: $($name:ident),+;)*) => {
        const SAME: &[usize] = &[$($({ let _ = [ffi::$name, crate::$module::$name]; 0 }),+),*];

        static FUNCTIONS: [fn() -> usize; SAME.len()] =
            [$($(|| crate::$module::$name as *const () as usize),+),*];
    };
}

function_table! {
    media: switch_core_session_get_media_handle, switch_core_perform_file_open, switch_core_file_read, switch_core_file_close, switch_core_codec_init_with_bitrate, switch_core_codec_encode, switch_core_codec_destroy, switch_core_session_get_write_codec, switch_core_session_media_flow, switch_rtp_write_frame, switch_rtp_get_default_payload, switch_core_session_read_frame, switch_core_session_perform_receive_message, switch_core_session_private_event_count, switch_core_media_bug_enumerate, switch_core_media_get_stats, switch_core_media_ready, switch_core_media_get_rtp_session, switch_core_media_clear_rtp_flag, switch_core_media_get_mparams, switch_rtp_set_max_missed_packets, switch_rtp_get_jitter_buffer, switch_rtp_test_flag, switch_rtp_set_flag, switch_rtp_clear_flag, switch_rtp_get_rtp_socket, switch_socket_fd_get, switch_core_event_hook_add_kill_channel, switch_core_event_hook_remove_kill_channel, switch_channel_has_dtmf, switch_channel_dequeue_dtmf, switch_ivr_parse_all_messages;
    api: switch_api_execute, switch_console_stream_raw_write, switch_core_chat_send_args;
    bridge: switch_ivr_multi_threaded_bridge;
    cause: switch_channel_cause2str;
    console: switch_console_add_complete_func, switch_console_del_complete_func, switch_console_push_match, switch_console_set_complete;
    dialplan: switch_ivr_blind_transfer_ack;
    dialplan: switch_channel_get_caller_extension, switch_ivr_session_transfer, switch_caller_extension_new, switch_caller_extension_add_application;
    database: _switch_core_db_handle, switch_core_sql_exec, _switch_cache_db_get_db_handle_dsn, switch_cache_db_execute_sql, switch_cache_db_execute_sql_callback, switch_cache_db_flush_handles, switch_cache_db_get_type, switch_cache_db_release_db_handle;
    event: switch_event_add_header_string, switch_event_bind_removable, switch_event_create_subclass_detailed, switch_event_del_header_val, switch_event_destroy, switch_event_get_header_idx, switch_event_fire_detailed, switch_event_free_subclass_detailed, switch_event_reserve_subclass_detailed, switch_event_unbind;
    globals: switch_core_get_switchname, switch_core_get_uuid, switch_core_get_variable_dup, switch_micro_time_now;
    leg: switch_core_session_perform_locate, switch_core_session_rwunlock, switch_core_session_get_uuid, switch_core_session_get_loglevel, switch_core_session_get_channel, switch_core_session_findall, switch_core_recovery_track, switch_core_register_secondary_recover_callback, switch_core_unregister_secondary_recover_callback, switch_console_free_matches, switch_core_event_hook_add_receive_message, switch_core_event_hook_remove_receive_message, switch_channel_direction, switch_channel_event_set_data, switch_channel_get_caller_profile, switch_channel_get_cause, switch_channel_get_hold_music, switch_channel_get_partner_uuid_copy, switch_channel_get_running_state, switch_channel_get_state, switch_channel_get_variable_dup, switch_channel_perform_answer, switch_channel_perform_hangup, switch_channel_set_originatee_caller_profile, switch_channel_set_originator_caller_profile, switch_channel_set_profile_var, switch_channel_set_variable_var_check, switch_channel_step_caller_profile, switch_channel_test_flag, switch_channel_test_ready, switch_caller_profile_clone, switch_ivr_media, switch_ivr_set_user, switch_ivr_transfer_recordings;
    leg: switch_channel_set_flag_value, switch_channel_clear_flag, switch_core_session_flush_private_events, switch_ivr_unhold;
    digits: switch_core_event_hook_add_recv_dtmf, switch_core_event_hook_remove_recv_dtmf, switch_channel_queue_dtmf, switch_channel_dtmf_lock, switch_channel_dtmf_unlock, switch_core_session_get_dmachine, switch_ivr_broadcast;
    leg: switch_caller_get_field_by_name, switch_core_session_get_app_log;
    log: switch_core_session_ctl;
    module: switch_core_add_state_handler, switch_core_remove_state_handler, switch_loadable_module_create_module_interface, switch_loadable_module_create_interface, switch_loadable_module_get_application_interface, switch_loadable_module_get_dialplan_interface, switch_mutex_lock, switch_mutex_unlock, switch_thread_rwlock_unlock;
    originate: switch_ivr_originate;
    play: switch_ivr_phrase_macro_event, switch_ivr_play_file, switch_ivr_sleep;
    scheduler: switch_scheduler_add_task, switch_scheduler_del_task_id;
    dialplan_xml: switch_xml_locate, switch_xml_std_datetime_check, switch_channel_expand_variables_check;
    xml: switch_xml_open_cfg, switch_xml_reload, switch_xml_free, switch_xml_toxml_ex;
}

/// Keeps all functions in the program. Two are not in the table, because they are variadic in the headers (see `log.rs`).
pub(crate) fn keep() {
    for function in &FUNCTIONS {
        std::hint::black_box(function());
    }
    std::hint::black_box(crate::log::switch_log_printf as *const () as usize);
    std::hint::black_box(crate::api::switch_console_stream_write as *const () as usize);
    std::hint::black_box(crate::thread::own_create());
    std::hint::black_box(crate::thread::own_sleep());
    std::hint::black_box(crate::thread::own_clock());
}
