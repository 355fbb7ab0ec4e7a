//! Holds the configuration in force.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{Config, Settings};

/// The configuration in force. It is replaced as a whole and read as a whole.
#[derive(Clone, Debug)]
pub(crate) struct ConfigHandle(Arc<RwLock<Arc<Config>>>);

impl ConfigHandle {
    pub(crate) fn new(config: Config) -> ConfigHandle {
        ConfigHandle(Arc::new(RwLock::new(Arc::new(config))))
    }

    pub(crate) fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.read())
    }

    pub(crate) fn settings(&self) -> Settings {
        self.get().settings.clone()
    }

    pub(crate) fn replace(&self, config: Config) {
        *self.0.write() = Arc::new(config);
    }
}
