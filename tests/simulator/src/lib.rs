//! A stand-in for FreeSWITCH's core: loads the real module through the C interface, on machines without FreeSWITCH.
//!
//! Time is virtual, so a day passes in seconds and a scenario takes the same course each time; faults are put where a test
//! wants them; what the module leaves behind is an error. [`World`] is the way in:
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
//! How it is built: every leg is a thread that runs its dialplan, as in the host; `kernel` lets one thread go on at a time
//! and steps time when none can. Each of the other files is one thing of the host's, with its C functions; `function_table` lists
//! them all and proves them against the headers. What it knows of the host was read in FreeSWITCH's source and is kept
//! honest by running the same scenarios on a real one.
//!
//! Not simulated: sound itself, SIP, signal bridges (two legs with bypassed media), presence, databases.

mod api;
mod apps;
mod bridge;
mod cause;
mod console;
mod core;
mod database;
mod dialplan;
mod dialplan_xml;
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
