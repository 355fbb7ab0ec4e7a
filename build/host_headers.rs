//! Generates the Rust declarations of FreeSWITCH's C interface with bindgen.
//!
//! The headers are those of `FREESWITCH_INCLUDE_DIR`, of `FREESWITCH_PREFIX` (`<prefix>/include/freeswitch`, if it has any), of
//! `pkg-config freeswitch`, of the default prefix, or else those in `freeswitch-headers/` of this repository. Installed headers come first because enum values differ between
//! releases. The build script of the simulator uses this file too, so that both sides of the C interface have the same headers.

use std::env;
use std::path::{Path, PathBuf};

/// The C functions that the module calls. `freeswitch-headers/` declares the same ones, and `make abi` checks them.
const FUNCTIONS: &[&str] = &[
    // loading
    "switch_loadable_module_create_module_interface",
    "switch_loadable_module_create_interface",
    // sessions and channels
    "switch_core_session_perform_locate",
    "switch_core_session_rwunlock",
    "switch_core_session_get_uuid",
    "switch_core_session_get_loglevel",
    "switch_core_session_get_channel",
    "switch_core_session_findall",
    "switch_core_recovery_track",
    "switch_core_register_secondary_recover_callback",
    "switch_core_unregister_secondary_recover_callback",
    "switch_core_add_state_handler",
    "switch_core_remove_state_handler",
    "switch_core_event_hook_add_receive_message",
    "switch_core_event_hook_remove_receive_message",
    "switch_core_event_hook_add_recv_dtmf",
    "switch_core_event_hook_remove_recv_dtmf",
    "switch_core_event_hook_add_kill_channel",
    "switch_core_event_hook_remove_kill_channel",
    "switch_channel_direction",
    "switch_channel_event_set_data",
    "switch_channel_expand_variables_check",
    "switch_channel_get_caller_extension",
    "switch_channel_get_caller_profile",
    "switch_channel_get_cause",
    "switch_channel_get_hold_music",
    "switch_channel_get_partner_uuid_copy",
    "switch_channel_get_running_state",
    "switch_channel_get_state",
    "switch_channel_get_variable_dup",
    "switch_channel_perform_answer",
    "switch_channel_perform_hangup",
    "switch_channel_cause2str",
    "switch_channel_set_originatee_caller_profile",
    "switch_channel_set_originator_caller_profile",
    "switch_channel_set_profile_var",
    "switch_channel_set_variable_var_check",
    "switch_channel_step_caller_profile",
    "switch_channel_test_flag",
    "switch_channel_set_flag_value",
    "switch_channel_clear_flag",
    "switch_channel_test_ready",
    "switch_caller_get_field_by_name",
    "switch_caller_profile_clone",
    "switch_caller_extension_new",
    "switch_caller_extension_add_application",
    "switch_core_session_get_app_log",
    // other modules
    "switch_api_execute",
    "switch_core_chat_send_args",
    // the core's database layer
    "_switch_core_db_handle",
    "switch_core_sql_exec",
    "_switch_cache_db_get_db_handle_dsn",
    "switch_cache_db_execute_sql",
    "switch_cache_db_execute_sql_callback",
    "switch_cache_db_flush_handles",
    "switch_cache_db_get_type",
    "switch_cache_db_release_db_handle",
    // looking up a destination
    "switch_loadable_module_get_application_interface",
    "switch_loadable_module_get_dialplan_interface",
    "switch_mutex_lock",
    "switch_mutex_unlock",
    "switch_thread_rwlock_unlock",
    // call control
    "switch_ivr_blind_transfer_ack",
    "switch_ivr_broadcast",
    "switch_ivr_media",
    "switch_ivr_multi_threaded_bridge",
    "switch_ivr_originate",
    "switch_ivr_phrase_macro_event",
    "switch_ivr_play_file",
    "switch_ivr_session_transfer",
    "switch_ivr_set_user",
    "switch_ivr_sleep",
    "switch_ivr_transfer_recordings",
    "switch_ivr_unhold",
    "switch_core_session_flush_private_events",
    // shared audio
    "switch_core_perform_file_open",
    "switch_core_file_read",
    "switch_core_file_close",
    "switch_core_codec_init_with_bitrate",
    "switch_core_codec_encode",
    "switch_core_codec_destroy",
    "switch_core_session_get_media_handle",
    "switch_core_media_get_mparams",
    "switch_core_session_get_write_codec",
    "switch_core_session_media_flow",
    "switch_core_session_read_frame",
    "switch_core_session_perform_receive_message",
    "switch_core_session_private_event_count",
    "switch_core_media_bug_enumerate",
    "switch_core_media_get_stats",
    "switch_core_media_clear_rtp_flag",
    "switch_core_media_get_rtp_session",
    "switch_core_media_ready",
    "switch_rtp_get_jitter_buffer",
    "switch_rtp_set_max_missed_packets",
    "switch_rtp_write_frame",
    "switch_rtp_get_default_payload",
    "switch_rtp_test_flag",
    "switch_rtp_set_flag",
    "switch_rtp_clear_flag",
    "switch_rtp_get_rtp_socket",
    "switch_socket_fd_get",
    "switch_channel_has_dtmf",
    "switch_channel_dequeue_dtmf",
    "switch_channel_queue_dtmf",
    "switch_channel_dtmf_lock",
    "switch_channel_dtmf_unlock",
    "switch_core_session_get_dmachine",
    "switch_ivr_parse_all_messages",
    // events
    "switch_event_add_header_string",
    "switch_event_bind_removable",
    "switch_event_create_subclass_detailed",
    "switch_event_del_header_val",
    "switch_event_destroy",
    "switch_event_get_header_idx",
    "switch_event_fire_detailed",
    "switch_event_free_subclass_detailed",
    "switch_event_reserve_subclass_detailed",
    "switch_event_unbind",
    // configuration, console, clock, log
    "switch_xml_open_cfg",
    "switch_xml_reload",
    "switch_xml_free",
    "switch_xml_toxml_ex",
    "switch_xml_locate",
    "switch_xml_std_datetime_check",
    "switch_console_add_complete_func",
    "switch_console_del_complete_func",
    "switch_console_push_match",
    "switch_console_set_complete",
    "switch_console_free_matches",
    "switch_console_stream_raw_write",
    "switch_console_stream_write",
    "switch_core_get_switchname",
    "switch_core_get_uuid",
    "switch_core_get_variable_dup",
    "switch_core_session_ctl",
    "switch_log_printf",
    "switch_micro_time_now",
    "switch_scheduler_add_task",
    "switch_scheduler_del_task_id",
];

/// The types whose fields the module reads or writes.
const TYPES: &[&str] = &[
    "switch_loadable_module_function_table_t",
    "switch_application_interface_t",
    "switch_api_interface_t",
    "switch_stream_handle_t",
    "switch_input_args_t",
    "switch_core_session_message_t",
    "switch_scheduler_task_t",
    "switch_dtmf_t",
    "switch_frame_t",
    "switch_codec_t",
    "switch_codec_implementation_t",
    "switch_codec_flag_enum_t",
    "switch_file_flag_enum_t",
    "switch_io_flag_enum_t",
    "switch_media_flow_t",
    "switch_dialplan_interface_t",
    "switch_loadable_module_interface_t",
    "switch_app_log_t",
    "switch_caller_extension_t",
    "switch_caller_application_t",
    "switch_application_flag_enum_t",
    "switch_originate_flag_enum_t",
    "switch_media_flag_enum_t",
    "switch_state_handler_flag_t",
];

const CONSTANTS: &[&str] = &["SWITCH_API_VERSION"];

/// The types that the module passes only by pointer.
const OPAQUE: &[&str] = &[
    "switch_core_session",
    "switch_channel",
    "switch_caller_profile",
    "switch_event",
    "switch_event_node",
    "switch_file_handle",
    "switch_media_handle_s",
    "switch_codec_settings",
    "switch_rtp",
    "switch_jb_s",
    "payload_map_s",
    "switch_ivr_dmachine",
    "switch_dial_handle_s",
    "switch_cache_db_handle",
    "fspr_pool_t",
    "fspr_socket_t",
    "fspr_thread_rwlock_t",
    "fspr_thread_mutex_t",
    "fspr_thread_t",
    // the lists of interfaces that this module does not have
    "switch_endpoint_interface",
    "switch_timer_interface",
    "switch_codec_interface",
    "switch_chat_application_interface",
    "switch_json_api_interface",
    "switch_file_interface",
    "switch_speech_interface",
    "switch_directory_interface",
    "switch_chat_interface",
    "switch_say_interface",
    "switch_asr_interface",
    "switch_management_interface",
    "switch_limit_interface",
    "switch_database_interface",
];

/// Writes `bindings.rs` to cargo's output folder, and returns which headers were used, for `callpark version`. `root` is the folder of the
/// repository.
pub(crate) fn generate(root: &Path) -> String {
    for path in ["build/host_headers.rs", "freeswitch-headers"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    for name in ["FREESWITCH_INCLUDE_DIR", "FREESWITCH_PREFIX", "PKG_CONFIG_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let (headers, whose) = find(root);
    let mut builder = bindgen::Builder::default()
        .header_contents("callpark_host.h", "#include <switch.h>\n")
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .default_enum_style(bindgen::EnumVariation::NewType { is_bitfield: false, is_global: false })
        .generate_comments(false)
        .layout_tests(true)
        .derive_debug(false)
        .derive_default(true)
        .merge_extern_blocks(true)
        .wrap_unsafe_ops(true)
        .rust_edition(bindgen::RustEdition::Edition2024);
    for dir in &headers {
        builder = builder.clang_arg(format!("-I{}", dir.display()));
    }
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in CONSTANTS {
        builder = builder.allowlist_var(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let bindings = match builder.generate() {
        Ok(bindings) => bindings,
        Err(error) => panic!("cannot read FreeSWITCH's headers in {headers:?}: {error}"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    bindings.write_to_file(&out).unwrap_or_else(|error| panic!("cannot write {}: {error}", out.display()));
    whose
}

/// Finds the include directories, and says which headers they have.
fn find(root: &Path) -> (Vec<PathBuf>, String) {
    if let Some(dir) = env::var_os("FREESWITCH_INCLUDE_DIR").filter(|dir| !dir.is_empty()) {
        let dir = checked(PathBuf::from(dir), "FREESWITCH_INCLUDE_DIR");
        let own = dir.canonicalize().ok() == root.join("freeswitch-headers").canonicalize().ok();
        return (vec![dir], if own { "own" } else { "installed" }.into());
    }
    if let Some(prefix) = env::var_os("FREESWITCH_PREFIX").map(PathBuf::from).filter(|prefix| prefix != Path::new("")) {
        let dir = prefix.join("include/freeswitch");
        if dir.join("switch.h").is_file() {
            return (vec![dir], "installed".into());
        }
        assert!(prefix.is_dir(), "FREESWITCH_PREFIX is set, but there is no folder {}", prefix.display());
        // FreeSWITCH's package for developers is often missing. Headers of another FreeSWITCH on this machine are no better than these.
        println!("cargo::warning={} has no switch.h, freeswitch-headers/ of the repository is used", dir.display());
        return (vec![root.join("freeswitch-headers")], "own".into());
    }
    if let Ok(library) = pkg_config::Config::new().cargo_metadata(false).probe("freeswitch") {
        if library.include_paths.iter().any(|dir| dir.join("switch.h").is_file()) {
            return (library.include_paths, format!("installed {}", library.version));
        }
    }
    let default = Path::new("/usr/local/freeswitch/include/freeswitch");
    if default.join("switch.h").is_file() {
        return (vec![default.into()], "installed".into());
    }
    (vec![root.join("freeswitch-headers")], "own".into())
}

fn checked(dir: PathBuf, variable: &str) -> PathBuf {
    assert!(dir.join("switch.h").is_file(), "{variable} is set, but {} has no switch.h", dir.display());
    dir
}
