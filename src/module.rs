//! Load and shutdown: in order, and undone in reverse.

use std::ffi::CStr;

use parking_lot::Mutex;

use crate::attendant::{self, Attendant};
use crate::host::{
    Completions, FunctionTable, Interfaces, Lifecycle, OnReload, OnTick, ReloadBinding, Status, Subclass, Ticker,
    function_table,
};
use crate::{apps, commands, config, events};

/// What FreeSWITCH's loader looks for in `mod_callpark.so`.
// SAFETY: the only symbol of this name, and of the type the loader expects.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, unreachable_pub)]
pub static mod_callpark_module_interface: FunctionTable = function_table::<Module>();

/// What the module has registered with the core. Dropped from top to bottom, which is the reverse of how it was made.
struct Registered {
    _ticker: Ticker,
    _reload: ReloadBinding,
    _completions: Completions,
    _events: Subclass,
}

static REGISTERED: Mutex<Option<Registered>> = Mutex::new(None);

struct Module;

impl Lifecycle for Module {
    const NAME: &'static CStr = c"mod_callpark";

    fn load(interfaces: &mut Interfaces<'_>) -> Status {
        let Some(subclass) = events::reserve() else {
            log::error!("another module has the events {}; not loaded", events::INFO.to_string_lossy());
            return Status::Failed;
        };
        if !(apps::add_all(interfaces) && commands::add(interfaces)) {
            log::error!("FreeSWITCH has no memory for the interfaces; not loaded");
            return Status::Failed;
        }
        attendant::begin(begin());
        let completions = commands::completions();
        let Some(reload) = ReloadBinding::bind::<OnReloadXml>() else {
            log::error!("FreeSWITCH refused to tell of reloadxml; not loaded");
            attendant::end();
            return Status::Failed;
        };
        let ticker = Ticker::start::<EverySecond>();
        *REGISTERED.lock() =
            Some(Registered { _ticker: ticker, _reload: reload, _completions: completions, _events: subclass });
        Status::Done
    }

    fn shutdown() -> Status {
        REGISTERED.lock().take();
        attendant::end();
        Status::Done
    }
}

/// With the configuration of the file, or the emergency one: while a file is broken, callers must still find a slot.
fn begin() -> Attendant {
    let (config, faults) = match attendant::read_config() {
        Ok(config) => (config, Vec::new()),
        Err(faults) => (config::emergency(), faults),
    };
    for fault in &faults {
        log::error!("{fault}");
    }
    if !faults.is_empty() {
        log::error!("running with the lot main of slots 701-720 in every domain until callpark.conf.xml is mended");
    }
    attendant::warn_without_effect(&config);
    Attendant::new(config, faults, vec![Box::new(events::Announcer)])
}

struct OnReloadXml;

impl OnReload for OnReloadXml {
    fn reloaded() {
        if let Some(attendant) = attendant::on_duty() {
            // Told in the log by the attendant itself.
            let _ = attendant.reload(false);
        }
    }
}

struct EverySecond;

impl OnTick for EverySecond {
    fn tick() {
        if let Some(attendant) = attendant::on_duty() {
            attendant.attend();
        }
    }
}
