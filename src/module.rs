//! Load and shutdown: in order, and undone in reverse.

use std::ffi::CStr;

use parking_lot::Mutex;

use crate::freeswitch::{
    Binding, Completions, EventRef, FunctionTable, Interfaces, Kind, Lifecycle, OnEvent, OnTick, Recoverer, Status,
    Subclass, Ticker, function_table,
};
use crate::service::{self, ParkingService};
use crate::{applications, commands, config, events, freeswitch, moh, presence, storage, web};

/// What FreeSWITCH's loader looks for in `mod_callpark.so`.
// SAFETY: the only symbol of this name, and of the type the loader expects.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, unreachable_pub)]
pub static mod_callpark_module_interface: FunctionTable = function_table::<Module>();

/// What the module has registered with the core. Dropped from top to bottom, which is the reverse of how it was made.
struct Registered {
    _ticker: Ticker,
    _recoverer: Recoverer,
    _told: Vec<Binding>,
    _completions: Completions,
    _events: Subclass,
}

static REGISTERED: Mutex<Option<Registered>> = Mutex::new(None);

struct Module;

impl Lifecycle for Module {
    const NAME: &'static CStr = c"mod_callpark";

    fn load(interfaces: &mut Interfaces<'_>) -> Status {
        // What a shutdown left that could not do its work: the core keeps the code then, and it comes to life again.
        Self::shutdown();
        let Some(subclass) = events::reserve() else {
            log::error!("another module has the events {}; not loaded", events::INFO.to_string_lossy());
            return Status::Failed;
        };
        if !(applications::add_all(interfaces) && commands::add(interfaces)) {
            log::error!("FreeSWITCH has no memory for the interfaces; not loaded");
            return Status::Failed;
        }
        moh::begin();
        service::begin(begin());
        storage::begin();
        let completions = commands::completions();
        let bindings = [
            Binding::bind::<OnReloadXml>(),
            presence::on_probe(),
            presence::on_profile(),
            service::on_answer(),
            service::on_bridge(),
            service::on_hangup(),
            service::on_execute(),
            service::on_core_park(),
            freeswitch::on_tap(),
        ];
        let Some(told) = bindings.into_iter().collect() else {
            log::error!("FreeSWITCH refused to tell of its events; not loaded");
            storage::end();
            service::end();
            moh::end();
            return Status::Failed;
        };
        if let Some(service) = service::current() {
            service.note_conversations();
        }
        presence::light_all();
        presence::warn_of_rival();
        web::apply();
        let ticker = Ticker::start::<EverySecond>();
        *REGISTERED.lock() = Some(Registered {
            _ticker: ticker,
            _recoverer: Recoverer::register(),
            _told: told,
            _completions: completions,
            _events: subclass,
        });
        Status::Done
    }

    fn shutdown() -> Status {
        REGISTERED.lock().take();
        let ended = web::end() & storage::end();
        service::end();
        moh::end();
        if ended { Status::Done } else { Status::ParkedCallSnapshot }
    }
}

/// With the configuration of the file, or the emergency one: while a file is broken, callers must still find a slot.
fn begin() -> ParkingService {
    let (config, faults) = match service::read_config() {
        Ok(config) => (config, Vec::new()),
        Err(faults) => (config::emergency(), faults),
    };
    for fault in &faults {
        log::error!("{fault}");
    }
    if !faults.is_empty() {
        log::error!("running with the lot main of slots 701-720 in every domain until callpark.conf.xml is mended");
    }
    ParkingService::new(
        config,
        faults,
        vec![
            Box::new(storage::SlotStoreObserver),
            Box::new(events::EventPublisher),
            Box::<presence::Lamps>::default(),
            Box::new(storage::HistoryObserver),
            Box::new(web::StreamObserver),
            Box::new(web::MetricsObserver),
            Box::new(web::HttpConfigObserver),
        ],
        Box::new(storage::ClusterSlots),
    )
}

struct OnReloadXml;

impl OnEvent for OnReloadXml {
    const KIND: Kind = Kind::ReloadXml;

    fn happened(_: &EventRef<'_>) {
        if let Some(service) = service::current() {
            service.files_were_read();
            presence::warn_of_rival();
        }
    }
}

struct EverySecond;

impl OnTick for EverySecond {
    fn tick() {
        freeswitch::end_overdue_calls();
        if let Some(service) = service::current() {
            service.on_tick();
        }
        storage::on_tick();
        web::on_tick();
    }
}
