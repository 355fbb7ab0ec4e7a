//! Owns everything that the module has while it is loaded.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::commands::CommandContext;
use crate::config::{Config, ConfigError, ConfigHandle};
use crate::freeswitch::{Binding, Completions, NewLegs, Recoverer, Subclass, Ticker, Ticks, Wakers};
use crate::hooks::{HookObserver, Hooks};
use crate::moh::SharedMusic;
use crate::service::{FeatureCodeHooks, Observer, ParkingService};
use crate::storage::Storage;
use crate::valet::Valet;
use crate::web::{Counters, HttpServer, MetricsObserver, Sources, StreamClients, StreamObserver};
use crate::{events, presence, valet};

/// The registrations with the core. They are dropped from top to bottom, in the reverse order of their registration.
#[expect(dead_code, reason = "they are held until they are dropped")]
pub(crate) struct Registered {
    pub(crate) ticker: Ticker,
    pub(crate) recoverer: Recoverer,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) new_legs: NewLegs,
    pub(crate) verto_legs: [NewLegs; 2],
    pub(crate) feature_code: FeatureCodeHooks,
    pub(crate) completions: Completions,
    pub(crate) events: [Option<Subclass>; 2],
}

/// The owner of everything between load and unload. Threads and legs that use a part hold that part.
pub(crate) struct App {
    pub(crate) ticks: Ticks,
    pub(crate) wakers: Arc<Wakers>,
    pub(crate) music: Arc<SharedMusic>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) service: Arc<ParkingService>,
    pub(crate) http: Arc<HttpServer>,
    pub(crate) command_context: Arc<CommandContext>,
    /// `None` if the interface of mod_valet_parking is not offered.
    pub(crate) valet: Option<Arc<Valet>>,
    registered: Mutex<Option<Registered>>,
}

impl App {
    /// Makes all parts; none of them runs yet. `errors` are those of the configuration file, if `config` is the emergency configuration.
    /// `offers_valet` is whether the interface of mod_valet_parking is offered.
    pub(crate) fn new(config: Config, errors: Vec<ConfigError>, wakers: Wakers, offers_valet: bool) -> App {
        let (wakers, config) = (Arc::new(wakers), ConfigHandle::new(config));
        let music = Arc::new(SharedMusic::new(Arc::clone(&wakers)));
        let storage = Arc::new(Storage::new(config.clone()));
        let hooks = Arc::new(Hooks::new(config.clone()));
        let (changes, counts) = (StreamClients::default(), Arc::new(Counters::default()));
        let (valet_events, valet_lots) = offers_valet.then(valet::observer).unzip();
        let mut observers: Vec<Box<dyn Observer>> = vec![
            Box::new(events::EventPublisher),
            Box::<presence::Lamps>::default(),
            Box::new(StreamObserver(changes.clone())),
            Box::new(MetricsObserver(Arc::clone(&counts))),
            Box::new(HookObserver(Arc::clone(&hooks))),
        ];
        observers.extend(valet_events);
        let (slot_store, history) = (Arc::<Storage>::clone(&storage), Arc::<Storage>::clone(&storage));
        let service = ParkingService::new(config, errors, Arc::clone(&music), observers, slot_store, history);
        let service = Arc::new(service);
        let valet = valet_lots.map(|lots| Arc::new(Valet::new(Arc::clone(&service), lots)));
        let http = Arc::new(HttpServer::new(Sources {
            service: Arc::clone(&service),
            storage: Arc::clone(&storage),
            music: Arc::clone(&music),
            changes,
            counts,
            hooks: Arc::clone(&hooks),
        }));
        let command_context = Arc::new(CommandContext {
            service: Arc::clone(&service),
            storage: Arc::clone(&storage),
            music: Arc::clone(&music),
            http: Arc::clone(&http),
            hooks: Arc::clone(&hooks),
        });
        App {
            ticks: Ticks::default(),
            wakers,
            music,
            storage,
            hooks,
            service,
            http,
            command_context,
            valet,
            registered: Mutex::default(),
        }
    }

    /// Keeps the registrations with the core.
    pub(crate) fn keep_registrations(&self, registered: Registered) {
        *self.registered.lock() = Some(registered);
    }

    /// Does what is due. It is called about once a second.
    pub(crate) fn on_tick(&self) {
        self.service.end_overdue_calls();
        self.service.on_tick();
        self.storage.on_tick(&self.service);
        self.http.on_tick();
    }

    /// Ends everything at unload, in the reverse order of the start. When this returns, the core does not call the module any more, and no thread
    /// of the module runs. Returns false if a thread still waits for the database, so that its code must stay loaded.
    pub(crate) fn end(&self) -> bool {
        drop(self.registered.lock().take());
        let ended = self.http.end() & self.storage.close() & self.hooks.end();
        self.service.end();
        self.music.end();
        ended
    }
}
