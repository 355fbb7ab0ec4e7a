//! mod_callpark: call parking for FreeSWITCH. No parked caller is ever lost.
//!
//! ```text
//!  FreeSWITCH ──► module ──► applications/ commands/ events/ presence/ web/ ──► service/ ──► parking/
//!   (C ABI)     load,              entry points                           executes     the rules: pure, no
//!      ▲        unload                                                    effects      FreeSWITCH, clock or lock
//!      └──────────── freeswitch/ (safe wrapper) ◄─────────────────────────────┘
//!                      └─ ffi (bindgen)
//! ```
//!
//! | room | what is there | may use |
//! |---|---|---|
//! | [`parking`] | the rules: slots, lots, calls, outcomes | nothing of ours |
//! | [`config`] | `callpark.conf.xml` to a checked, immutable `Config` | `parking` |
//! | `freeswitch` | safe FreeSWITCH, one file for each thing of it; with `ffi` the only `unsafe` | `ffi`, `parking`'s plain types |
//! | `moh` | hold music for many callers at once | `freeswitch` |
//! | `service` | executes what the rules decide; holds the one lock | `parking`, `config`, `freeswitch`, `moh` |
//! | `applications` | the dialplan applications | `service` and below |
//! | `commands` | the `callpark` command | `web` (how it is), `storage`, `service` and below |
//! | `events` | `callpark::info` | `service` and below |
//! | `presence` | lamps | `service` and below |
//! | `storage` | the database: the history of parked calls; which call is in which slot, for the next start and for the other nodes | `service` and below |
//! | `web` | dashboard, JSON API, metrics | `storage`, `service` and below |
//! | `app` | owns all of the above while the module is loaded | all but `module` |
//! | `module` | the exported table, load, unload; the one static by which the core's callbacks come in | all; nobody uses it |
//! | `manual` | the test that writes and checks the tables in `docs/`, in no build | all; nobody uses it |
//! | `fuzzing` | entry points for `tests/fuzz`, in no release build | all; nobody uses it |
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(not(panic = "unwind"))]
compile_error!(
    "mod_callpark must be built with panic = \"unwind\": a panic would otherwise end FreeSWITCH and every call on it"
);

mod app;
mod applications;
mod commands;
pub mod config;
mod events;
#[allow(unsafe_code)]
mod ffi;
#[allow(unsafe_code)]
mod freeswitch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(test)]
mod manual;
#[allow(unsafe_code, reason = "the one exported symbol")]
mod module;
mod moh;
pub mod parking;
mod presence;
mod service;
mod storage;
mod web;
