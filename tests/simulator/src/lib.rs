//! Simulates FreeSWITCH's core: loads the real module through the C interface, on machines without FreeSWITCH.
//!
//! Time is virtual, so a day takes seconds, and a scenario has the same course of events each time. A test can inject faults at any call. It is an
//! error if the module leaves anything behind. A test begins with a [`World`]:
//!
//! ```no_run
//! use std::time::Duration;
//! use simulator::{Caller, Phone, Sound, World};
//!
//! let world = World::new();
//! world.set_global("domain", "example.com");
//! world.set_config("callpark.conf", "<configuration>...</configuration>");
//! world.set_dialplan(|route| match route.extension.as_str() {
//!     "700" => Some(vec![("callpark_park".into(), "auto".into())]),
//!     slot => Some(vec![("callpark_slot".into(), slot.into())]),
//! });
//! world.load(simulator::built_module()).unwrap();
//! let caller = world.call(&Caller::outside("Mr Chen", "030123"), "700");
//! world.advance(Duration::from_secs(10));
//! let colleague = world.call(&Caller::user("1002@example.com", "Bob"), "701");
//! world.advance(Duration::from_secs(1));
//! assert!(colleague.talks_to(&caller));
//! caller.hang_up();
//! world.finish();
//! ```
//!
//! Every leg is a thread that runs its dialplan, as in FreeSWITCH. `kernel` lets one thread run at a time, and advances the time when none can.
//! Each of the other files simulates one part of FreeSWITCH with its C functions; `function_table` lists these and checks them against the headers.
//! The behaviour was read in FreeSWITCH's source, and the same scenarios run on a real FreeSWITCH.
//!
//! Not simulated are audio, SIP, signal bridges (two legs with bypassed media), presence, and databases other than SQLite.

mod api;
mod apps;
mod bridge;
mod cause;
mod console;
mod core;
mod database;
mod dialplan;
mod dialplan_xml;
mod digits;
mod event;
mod fault;
mod ffi;
mod function_table;
mod globals;
mod kernel;
mod leg;
mod log;
mod media;
mod module;
mod originate;
mod play;
mod scheduler;
mod text;
mod thread;
mod thread_state;
mod world;
mod xml;

pub use cause::Cause;
pub use dialplan::{Plan, Route};
pub use event::Event;
pub use leg::{ChannelState, HeardSound, Leg, Sound};
pub use log::LogLine;
pub use module::built_module;
pub use originate::Phone;
pub use world::{Caller, Fault, PendingCommand, World};
