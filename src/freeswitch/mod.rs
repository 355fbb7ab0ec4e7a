//! Wraps the functions of FreeSWITCH that the module uses, one file for each part of FreeSWITCH.
//!
//! `unsafe` is used only here and in `ffi.rs`. In all files, a [`Leg`] lives no longer than the read lock or the running application that keeps its
//! session; texts are passed as C strings that FreeSWITCH copies; and each function that FreeSWITCH calls runs inside [`guard::fence`].

mod api;
mod app_log;
mod application;
mod blind_transfer;
mod bridge;
mod clock;
mod command;
mod console;
mod core;
mod database;
mod dialplan;
mod digits;
mod encoder;
mod event;
mod extension;
#[cfg(feature = "fault-injection")]
mod fault_injection;
pub(crate) mod guard;
mod image;
mod in_progress;
mod input;
mod log;
mod media;
pub(crate) mod memory;
mod module_table;
mod new_leg;
mod originate;
mod output_stream;
mod playback;
mod recovery;
mod routing;
mod rtp_counters;
mod rtp_input;
mod rtp_timeout;
mod rtp_writer;
mod scheduler;
mod session;
mod state_lookup;
mod suspended_variables;
mod text;
mod waker;
mod worker;
mod xml;

pub(crate) use api::{
    api, has_domain, has_user, in_network, module_loaded, profile_dialplan, send_message, user_variable,
    valet_parking_loaded,
};
pub(crate) use app_log::RanApplication;
pub(crate) use application::{Application, add_application};
pub(crate) use bridge::Bridged;
pub(crate) use clock::{cpu_time, epoch_ms, now};
pub(crate) use command::{Command, CommandOutput, add_command};
pub(crate) use console::{Completer, Completions};
pub(crate) use core::{queue_sql, run_uuid, switch_name, usual_domain, usual_language};
pub(crate) use database::{Database, DatabaseError, DatabaseKind};
pub(crate) use dialplan::UnreachableError;
pub(crate) use digits::{Digit, DigitAction, DigitHook, DigitHooks, OnDigit};
pub(crate) use encoder::{AudioFormat, AudioSource, Encoder};
pub(crate) use event::{Binding, CoreEvent, Event, EventRef, OnEvent, Subclass};
pub(crate) use image::is_replaced;
pub(crate) use log::{LogLevel, UUID, log_line};
pub(crate) use module_table::{FunctionTable, Interfaces, Lifecycle, LoadStatus, function_table};
pub(crate) use new_leg::{NewLegs, OnNewLeg};
pub(crate) use originate::{CancelToken, Dial, OriginateError, OutgoingCalls, PICKED_UP};
pub(crate) use playback::{PhraseResult, PlayResult, PlayToEnd, PlaybackControl};
pub(crate) use recovery::Recoverer;
pub(crate) use routing::{Dialplan, DialplanStep, add_dialplan};
pub(crate) use rtp_counters::RtpCounters;
pub(crate) use rtp_timeout::RtpTimeout;
pub(crate) use rtp_writer::{RtpWriter, SendResult};
pub(crate) use scheduler::{OnTick, TICK_TOLERANCE, Ticker, Ticks};
pub(crate) use session::{HangupCause, Leg, SessionGuard, all_legs};
pub(crate) use state_lookup::StateLookup;
pub(crate) use suspended_variables::{SuspendedVariables, VariableValues};
#[cfg(feature = "fuzzing")]
pub(crate) use text::inert;
pub(crate) use waker::{Waker, Wakers, on_media_bug};
pub(crate) use worker::{Worker, keep_libraries};
pub(crate) use xml::{configuration, configuration_file, reload_xml, sound_folder};
