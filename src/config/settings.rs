//! The settings of the module as a whole: one table that reading, checking and the manual share.

use super::document::Param;
use super::lot_params::{number, truth};
use super::{Config, Fault, Privacy, fault};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<Effect, String>,
}

#[derive(Debug)]
enum Effect {
    Now,
    /// Checked, accepted, and without effect in this version.
    Later,
}

const fn row(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<Effect, String>,
) -> Setting {
    Setting { name, default, meaning, apply }
}

pub const SETTINGS: &[Setting] = &[
    row("default-lot", "the first lot", "lot meant where none is named and the slot does not tell", |config, value| {
        config.default_lot = Some(value.to_owned()).filter(|name| !name.is_empty());
        Ok(Effect::Now)
    }),
    row("node-name", "host name", "this FreeSWITCH's name in listings", |config, value| {
        config.node_name = Some(value.to_owned()).filter(|name| !name.is_empty());
        Ok(Effect::Now)
    }),
    row("db-dsn", "callpark", "database of the records: any DSN of the core's database layer", |config, value| {
        if value.is_empty() {
            return Err("empty; leave it out for the SQLite file callpark".into());
        }
        config.settings.db_dsn = value.to_owned();
        Ok(Effect::Now)
    }),
    row("record-days", "90", "days that records are kept", |config, value| {
        config.settings.record_days = number(value, 1, 36_500)?;
        Ok(Effect::Now)
    }),
    row("record-privacy", "full", "what is kept of the caller: full, masked or none", |config, value| {
        config.settings.record_privacy = match value {
            "full" => Privacy::Full,
            "masked" => Privacy::Masked,
            "none" => Privacy::None,
            _ => return Err("not one of full, masked, none".into()),
        };
        Ok(Effect::Now)
    }),
    row("service-level", "60", "seconds within which a parked call should be taken", |config, value| {
        config.settings.service_level = number(value, 1, 86_400)?;
        Ok(Effect::Now)
    }),
    row("recover-window", "60", "seconds for which a dead node's slots are kept", |_, value| {
        number(value, 0, 86_400).map(|_| Effect::Later)
    }),
    row("cluster", "false", "several nodes share the lots", |_, value| truth(value).map(|_| Effect::Later)),
    row("cluster-dial", "", "how a retriever's leg reaches another node", |_, _| Ok(Effect::Later)),
    row("http-listen", "", "address and port of dashboard, JSON API and metrics, 127.0.0.1:8099", |config, value| {
        if !value.is_empty() && value.parse::<std::net::SocketAddr>().is_err() {
            return Err("not an address and a port, such as 127.0.0.1:8099".into());
        }
        config.settings.http_listen = value.to_owned();
        Ok(Effect::Now)
    }),
    row("http-token-file", "", "file with the tokens for it, mode 0600", |config, value| {
        config.settings.http_token_file = value.to_owned();
        Ok(Effect::Now)
    }),
];

pub(super) fn read(params: &[Param], config: &mut Config, faults: &mut Vec<Fault>) {
    for Param { name, value } in params {
        let value = value.trim();
        let outcome = match SETTINGS.iter().find(|setting| setting.name == name) {
            Some(setting) => (setting.apply)(config, value),
            None => {
                let known = SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
                Err(format!("no such setting; there are: {known}"))
            }
        };
        match outcome {
            Ok(Effect::Now) => {}
            Ok(Effect::Later) => config.without_effect.push(name.clone()),
            Err(why) => faults.push(fault("settings", name, value, &why)),
        }
    }
}
