//! mod_callpark: call parking for FreeSWITCH. No parked caller is ever lost.
//!
//! ```text
//!  FreeSWITCH ──► module ──► apps/ commands/ events/ ──► attendant/ ──► parking/
//!   (C ABI)     load,         what people call         carries out     the rules: pure,
//!      ▲        shutdown                                decisions      no host, no clock, no lock
//!      └──────────── host/ (safe FreeSWITCH) ◄──────────────┘
//!                      └─ ffi (bindgen)
//! ```
//!
//! | room | what is there | may use |
//! |---|---|---|
//! | [`parking`] | the rules: slots, lots, calls, outcomes | nothing of ours |
//! | [`config`] | `callpark.conf.xml` to a checked, immutable `Config` | `parking` |
//! | `host` | safe FreeSWITCH, one file for each thing of it; with `ffi` the only `unsafe` | `ffi`, `parking`'s plain types |
//! | `music` | hold music for many callers at once | `host` |
//! | `attendant` | park, retrieve, look after; holds the one lock | `parking`, `config`, `host`, `music` |
//! | `apps` | the dialplan applications | `attendant` and below |
//! | `commands` | the `callpark` command | `web` (how it is), `storage`, `attendant` and below |
//! | `events` | `callpark::info`, lamps | `attendant` and below |
//! | `storage` | the database: the history of parked calls; which call is in which slot, for the next start and for the other nodes | `attendant` and below |
//! | `web` | dashboard, JSON API, metrics | `storage`, `attendant` and below |
//! | `module` | the exported table, load, shutdown | all; nobody uses it |
//! | `manual` | the test that writes and checks the tables in `docs/`, in no build | all; nobody uses it |
//! | `fuzzing` | a door for `tests/fuzz`, in no release build | all; nobody uses it |
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "mod_callpark must be built with panic = \"unwind\": a panic would otherwise end FreeSWITCH and every call on it"
);

mod apps;
mod attendant;
mod commands;
pub mod config;
mod events;
#[allow(unsafe_code)]
mod ffi;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[allow(unsafe_code)]
mod host;
#[cfg(test)]
mod manual;
#[allow(unsafe_code, reason = "the one exported symbol")]
mod module;
mod music;
pub mod parking;
mod storage;
mod web;
