//! Reads and applies the configuration.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use super::{EventKind, ParkEvent, ParkingService};
use crate::config::{self, Config, ConfigError, ConfigErrorKind, ConfigSection};
use crate::freeswitch::{self, LogLevel, log_line};
use crate::parking::Layout;

impl ParkingService {
    /// Makes the core read its files again, and applies the configuration. With `apply`, parked calls get the new settings too.
    pub(crate) fn reload(&self, apply: bool) -> Result<(), Vec<ConfigError>> {
        self.own_reloads.fetch_add(1, Ordering::Relaxed);
        let read = freeswitch::reload_xml().map_err(|why| {
            self.take_own_reload();
            vec![ConfigError::of_file(ConfigErrorKind::FilesUnreadable(why.to_string()))]
        });
        self.apply_config(read.and_then(|()| read_config()), apply)
    }

    /// Counts down a re-read that this module has requested. Returns whether there was one; then the configuration is in force already.
    fn take_own_reload(&self) -> bool {
        let one_less = |count: u32| count.checked_sub(1);
        self.own_reloads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// Applies the configuration after the core has read its files again. Returns whether it is a new one.
    pub(crate) fn on_xml_reloaded(&self) -> bool {
        // The errors are logged.
        !self.take_own_reload() && self.apply_config(read_config(), false).is_ok()
    }

    /// Applies a new configuration. One with errors changes nothing.
    fn apply_config(&self, outcome: Result<Config, Vec<ConfigError>>, apply: bool) -> Result<(), Vec<ConfigError>> {
        if let Err(errors) = &outcome {
            log_config_errors(errors);
            log::error!(errors = errors.len(); "configuration has errors, nothing changed");
        }
        let cause = outcome.as_ref().err().map(|errors| config::error_count(errors));
        let answer = match outcome {
            Ok(config) => {
                let in_use = self.table.lock().domains_in_use();
                let layout = Layout::new(&config.lots, config.default_lot.as_deref(), &in_use);
                let before = self.change(|table, now| {
                    let before = table.replace(layout);
                    if apply {
                        table.apply_settings(now);
                    }
                    before
                });
                drop(before);
                self.config.replace(config);
                self.config_errors.lock().clear();
                Ok(())
            }
            Err(errors) => {
                (*self.config_errors.lock()).clone_from(&errors);
                Err(errors)
            }
        };
        self.publish(&ParkEvent { cause: cause.as_deref(), ..ParkEvent::of(EventKind::Reload) });
        answer
    }

    pub(crate) fn config_errors(&self) -> Vec<ConfigError> {
        self.config_errors.lock().clone()
    }

    pub(crate) fn settings(&self) -> config::Settings {
        self.config.settings()
    }

    pub(crate) fn node_name(&self) -> String {
        self.config.get().node_name.clone().unwrap_or_else(freeswitch::switch_name)
    }
}

/// Reads and checks the configuration file.
pub(crate) fn read_config() -> Result<Config, Vec<ConfigError>> {
    let config = match freeswitch::configuration("callpark.conf") {
        Some(text) => config::read(&text, freeswitch::configuration_file("callpark.conf").as_deref())?,
        None => return Err(vec![ConfigError::of_file(ConfigErrorKind::NotFound)]),
    };
    for lot in config.lots.iter().filter(|lot| lot.slots.iter().any(|slot| slot.as_str().contains('#'))) {
        log::warn!(
            lot:% = lot.id, written = "%23", example = "^((?:#|%23)701)$";
            "phones write # of a slot in another form in a transfer, so the dialplan must accept both"
        );
    }
    Ok(config)
}

/// Logs a line for each error of the configuration.
pub(crate) fn log_config_errors(errors: &[ConfigError]) {
    for ConfigError { line, section, key, value, kind } in errors {
        let mut keys: Vec<(&str, &dyn Display)> = vec![("file", &config::FILE_NAME)];
        keys.extend(line.as_ref().map(|line| ("line", line as &dyn Display)));
        match section {
            ConfigSection::File => {}
            ConfigSection::Settings => keys.push(("section", &"settings")),
            ConfigSection::Lot(id) => keys.push(("lot", id)),
            ConfigSection::Hook(name) => keys.push(("hook", name)),
        }
        if !key.is_empty() {
            keys.push(("key", key));
        }
        keys.extend(value.as_ref().map(|value| ("value", value as &dyn Display)));
        keys.push(("cause", kind));
        log_line(LogLevel::Error, &keys, format_args!("configuration error"));
    }
}
