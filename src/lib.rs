//! mod_callpark: call parking for FreeSWITCH. No parked caller is ever lost.
//!
//! ```text
//!             FreeSWITCH (C)
//!                  │ ABI
//!    ffi ── freeswitch              safe wrapper of FreeSWITCH; of the rules it uses only plain types
//!                  │
//!    applications  dialplan  valet  commands  events  hooks  presence  web      entry points: parse, call the service, render
//!                  │
//!              service ── storage   executes what the rules decide ── the database
//!               │      │
//!            config    moh          callpark.conf.xml, checked and immutable ── shared music on hold
//!               │
//!           parking                 pure rules
//!
//!    app: owns everything above.  module: load and unload; the one static.
//! ```
//!
//! The third column names the parts that a part may use; `tests/architecture.rs` reads this table and fails if the code differs.
//!
//! | part | what is there | may use |
//! |---|---|---|
//! | [`parking`] | the rules: who may park and retrieve, slots, lots, calls, outcomes | |
//! | [`config`] | `callpark.conf.xml` to a checked, immutable `Config` | `parking` |
//! | `ffi` | the bindings, by bindgen | |
//! | `freeswitch` | safe FreeSWITCH, one file for each thing of it; with `ffi` the only `unsafe` | `ffi`, `parking` |
//! | `moh` | hold music for many callers at once | `freeswitch` |
//! | `service` | executes what the rules decide; holds the one lock | `parking`, `config`, `freeswitch`, `moh` |
//! | `storage` | the database: the history, and the slot store for the next start and for the other nodes | `parking`, `config`, `service`, `freeswitch` |
//! | `applications` | the dialplan applications | `parking`, `service`, `freeswitch` |
//! | `dialplan` | the dialplan `callpark`: the numbers of the lots | `parking`, `service`, `freeswitch` |
//! | `valet` | the interface of mod_valet_parking | `parking`, `config`, `service`, `freeswitch`, `applications` |
//! | `events` | `callpark::info` | `parking`, `service`, `freeswitch` |
//! | `hooks` | posts events to receivers over HTTP | `parking`, `config`, `service`, `freeswitch` |
//! | `presence` | lamps | `parking`, `service`, `freeswitch` |
//! | `web` | dashboard, JSON API, metrics | `parking`, `config`, `service`, `freeswitch`, `moh`, `storage`, `hooks` |
//! | `commands` | the `callpark` command | `parking`, `config`, `service`, `freeswitch`, `moh`, `applications`, `storage`, `web`, `hooks` |
//! | `app` | owns all of the above while the module is loaded | `parking`, `config`, `service`, `freeswitch`, `moh`, `events`, `hooks`, `presence`, `storage`, `valet`, `web`, `commands` |
//! | `module` | the exported table, load and unload; the one static by which FreeSWITCH's callbacks find the `App` | `app`, `parking`, `config`, `service`, `freeswitch`, `applications`, `dialplan`, `valet`, `events`, `presence`, `commands` |
//! | `manual` | the test that writes and checks the tables in `docs/`, in no build | `parking`, `config`, `service`, `freeswitch`, `applications`, `events`, `hooks`, `commands`, `web` |
//! | `fuzzing` | entry points for `tests/fuzz`, in no release build | `app`, `module`, `parking`, `config`, `service`, `freeswitch`, `applications`, `commands`, `storage`, `web` |
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
mod dialplan;
mod events;
#[allow(unsafe_code)]
mod ffi;
#[allow(unsafe_code)]
mod freeswitch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hooks;
#[cfg(test)]
mod manual;
#[allow(unsafe_code, reason = "the one exported symbol")]
mod module;
mod moh;
pub mod parking;
mod presence;
mod service;
mod storage;
mod valet;
mod web;
