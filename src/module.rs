//! Loads and unloads the module: builds the [`App`], registers it with the core, and ends it.

use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::app::{App, Registered};
use crate::commands::CommandContext;
use crate::config::{Config, ConfigError};
use crate::freeswitch::{
    Binding, CoreEvent, EventRef, FunctionTable, Interfaces, Lifecycle, LoadStatus, OnEvent, OnTick, Recoverer,
    StateLookup, Ticker, Ticks, Wakers, function_table,
};
use crate::service::{self, ParkingService};
use crate::valet::{self, Valet};
use crate::{applications, commands, config, dialplan, events, freeswitch, presence};

/// The symbol that FreeSWITCH's loader looks up in `mod_callpark.so`.
// SAFETY: the only symbol of this name, and of the type the loader expects.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, unreachable_pub)]
pub static mod_callpark_module_interface: FunctionTable = function_table::<Module>();

/// The loaded module, for the callbacks of the core. All other code gets what it needs as an argument.
static APP: RwLock<Option<Arc<App>>> = RwLock::new(None);

/// Finds a part of the loaded module.
pub(crate) struct Loaded;

/// Returns a part of the loaded module. Nothing is locked while the part is used.
fn part<T>(of: impl FnOnce(&App) -> &Arc<T>) -> Option<Arc<T>> {
    APP.read().as_deref().map(|app| Arc::clone(of(app)))
}

impl StateLookup<App> for Loaded {
    fn find() -> Option<Arc<App>> {
        APP.read().clone()
    }
}

impl StateLookup<ParkingService> for Loaded {
    fn find() -> Option<Arc<ParkingService>> {
        part(|app| &app.service)
    }
}

impl StateLookup<CommandContext> for Loaded {
    fn find() -> Option<Arc<CommandContext>> {
        part(|app| &app.command_context)
    }
}

impl StateLookup<Valet> for Loaded {
    fn find() -> Option<Arc<Valet>> {
        APP.read().as_deref().and_then(|app| app.valet.clone())
    }
}

impl StateLookup<Wakers> for Loaded {
    fn find() -> Option<Arc<Wakers>> {
        part(|app| &app.wakers)
    }
}

struct Module;

impl Lifecycle for Module {
    const NAME: &'static CStr = c"mod_callpark";

    fn load(interfaces: &mut Interfaces<'_>) -> LoadStatus {
        // If an unload could not finish, the core has kept the code, and this ends what the unload has left.
        Self::shutdown();
        let Some(subclass) = events::reserve() else {
            log::error!(event:% = events::INFO.to_string_lossy(); "module is not loaded, another module has its event");
            return LoadStatus::Failed;
        };
        if !(applications::add_all::<Loaded>(interfaces)
            && dialplan::add::<Loaded>(interfaces)
            && commands::add::<Loaded>(interfaces))
        {
            log::error!("module is not loaded, FreeSWITCH has no memory for its interfaces");
            return LoadStatus::Failed;
        }
        let (config, errors) = configuration();
        let valet_events = valet::offer::<Loaded>(interfaces, config.settings.valet_compat);
        let app = Arc::new(App::new(config, errors, Wakers::new::<Loaded>(), valet_events.is_some()));
        *APP.write() = Some(Arc::clone(&app));
        app.hooks.apply();
        app.storage.load(&app.service);
        let completions = commands::completions::<Loaded>();
        let bindings = [
            Binding::bind::<OnReloadXml, Loaded>(),
            presence::on_probe::<Loaded>(),
            presence::on_profile::<Loaded>(),
            service::on_answer::<Loaded>(),
            service::on_bridge::<Loaded>(),
            service::on_hangup::<Loaded>(),
            service::on_execute::<Loaded>(),
            service::on_core_park::<Loaded>(),
            freeswitch::on_media_bug::<Loaded>(),
        ];
        let (Some(bindings), Some(new_legs), Some(verto_legs), Some(feature_code)) = (
            bindings.into_iter().collect(),
            service::on_new_leg::<Loaded>(),
            service::on_verto_leg::<Loaded>(),
            service::hook_digits::<Loaded>(&app.service),
        ) else {
            log::error!("module is not loaded, FreeSWITCH refused to bind its event handlers");
            Self::shutdown();
            return LoadStatus::Failed;
        };
        app.service.note_conversations();
        app.service.publish_all_lamps();
        presence::warn_about_valet_parking();
        if freeswitch::is_replaced() {
            log::warn!(
                "the earlier version of the module is still in memory and was loaded again; restart FreeSWITCH to load the new file"
            );
        }
        app.http.apply();
        let ticker = Ticker::start::<EverySecond, Loaded>();
        app.keep_registrations(Registered {
            ticker,
            recoverer: Recoverer::register(),
            bindings,
            new_legs,
            verto_legs,
            feature_code,
            completions,
            events: [Some(subclass), valet_events],
        });
        LoadStatus::Done
    }

    fn shutdown() -> LoadStatus {
        // After this, no callback finds the module, even if the rest panics.
        let app = APP.write().take();
        if app.is_none_or(|app| app.end()) { LoadStatus::Done } else { LoadStatus::NoUnload }
    }
}

/// Returns the configuration of the file, or the emergency configuration and the errors of the file, so that callers get a slot in any case.
fn configuration() -> (Config, Vec<ConfigError>) {
    let (config, errors) = match service::read_config() {
        Ok(config) => (config, Vec::new()),
        Err(errors) => (config::emergency(), errors),
    };
    service::log_config_errors(&errors);
    if !errors.is_empty() {
        log::error!(lot = "main@*", slots = "701-720"; "running with an emergency lot in every domain until callpark.conf.xml is corrected");
    }
    (config, errors)
}

struct OnReloadXml;

impl OnEvent for OnReloadXml {
    type Context = App;
    const EVENT: CoreEvent = CoreEvent::ReloadXml;

    fn on_event(app: &Arc<App>, _: &EventRef<'_>) {
        if app.service.on_xml_reloaded() {
            app.http.apply();
        }
        presence::warn_about_valet_parking();
    }
}

struct EverySecond;

impl OnTick for EverySecond {
    type Context = App;

    fn ticks(app: &App) -> &Ticks {
        &app.ticks
    }

    fn tick(app: &App) {
        app.on_tick();
    }
}
