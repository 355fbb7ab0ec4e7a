//! mod_callpark: call parking for FreeSWITCH. No parked caller is ever lost.
//!
//! ```text
//!  FreeSWITCH ──► module ──► apps/ commands/ events/ ──► service/ ──► parking/
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
//! | `moh` | hold music for many callers at once | `host` |
//! | `service` | park, retrieve, look after; holds the one lock | `parking`, `config`, `host`, `moh` |
//! | `apps` | the dialplan applications | `service` and below |
//! | `commands` | the `callpark` command | `web` (how it is), `storage`, `service` and below |
//! | `events` | `callpark::info`, lamps | `service` and below |
//! | `storage` | the database: the history of parked calls; which call is in which slot, for the next start and for the other nodes | `service` and below |
//! | `web` | dashboard, JSON API, metrics | `storage`, `service` and below |
//! | `module` | the exported table, load, shutdown | all; nobody uses it |
//! | `manual` | the test that writes and checks the tables in `docs/`, in no build | all; nobody uses it |
//! | `fuzzing` | a door for `tests/fuzz`, in no release build | all; nobody uses it |
#![deny(unsafe_code)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "mod_callpark must be built with panic = \"unwind\": a panic would otherwise end FreeSWITCH and every call on it"
);

mod apps;
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
mod moh;
pub mod parking;
mod service;
mod storage;
mod web;
