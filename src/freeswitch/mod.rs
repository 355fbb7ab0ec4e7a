//! Wraps the functions of FreeSWITCH that the module uses, one file for each part of FreeSWITCH.
//!
//! `unsafe` is used only here and in `ffi.rs`. In all files, a [`Leg`] lives no longer than the read lock or the running application that keeps its
//! session; texts are passed as C strings that FreeSWITCH copies; and each function that FreeSWITCH calls runs inside [`guard::fence`].

mod api;
mod application;
mod bridge;
mod clock;
mod command;
mod console;
mod core;
mod database;
mod dialplan;
mod event;
mod extension;
pub(crate) mod guard;
mod history;
mod in_progress;
mod listen;
mod log;
mod media;
pub(crate) mod memory;
mod module;
mod originate;
#[cfg(feature = "planted")]
mod planted;
mod playback;
mod recovery;
mod rtp_writer;
mod scheduler;
mod session;
mod set_aside;
mod stream;
mod text;
mod waker;
mod way_in;
mod worker;
mod xml;

pub(crate) use api::{api, has_domain, has_user, in_network, module_loaded, send_message};
pub(crate) use application::{Application, add_application};
pub(crate) use bridge::Bridged;
pub(crate) use clock::{cpu_time, epoch_ms, now};
pub(crate) use command::{Answer, Command, add_command};
pub(crate) use console::{Completer, Completions, Words};
pub(crate) use core::{queue_sql, run_uuid, switch_name, usual_domain};
pub(crate) use database::{Database, DatabaseError, DatabaseKind};
pub(crate) use dialplan::UnreachableError;
pub(crate) use event::{Binding, Event, EventRef, Kind, OnEvent, Subclass};
pub(crate) use history::Ran;
pub(crate) use log::{LogLevel, UUID, log_line};
pub(crate) use module::{FunctionTable, Interfaces, Lifecycle, Status, function_table};
pub(crate) use originate::{Cancel, Dial, OriginateError, OutgoingCalls, PICKED_UP};
pub(crate) use playback::{Heard, Listener, PlayToEnd, Played};
pub(crate) use recovery::Recoverer;
pub(crate) use rtp_writer::{Encoder, Format, RtpWriter, Sent, Source};
pub(crate) use scheduler::{OnTick, Ticker, Ticks};
pub(crate) use session::{HangupCause, Leg, SessionGuard, every_leg};
pub(crate) use set_aside::SetAside;
#[cfg(feature = "fuzzing")]
pub(crate) use text::inert;
pub(crate) use waker::{Waker, Wakers, on_tap};
pub(crate) use way_in::WayIn;
pub(crate) use worker::{Worker, keep_libraries};
pub(crate) use xml::{configuration, configuration_file, reread};
