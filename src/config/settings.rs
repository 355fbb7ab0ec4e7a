//! The settings of the module as a whole: one table that reading, checking and the manual share.

use std::net::{IpAddr, SocketAddr};

use super::document::Param;
use super::lot_params::{number, truth};
use super::{Config, Fault, Privacy, fault, given_once};
use crate::parking::is_name;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), String>,
}

const fn row(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), String>,
) -> Setting {
    Setting { name, default, meaning, apply }
}

pub const SETTINGS: &[Setting] = &[
    row("default-lot", "the first lot", "lot meant where none is named and the slot does not tell", |config, value| {
        config.default_lot = Some(value.to_owned()).filter(|name| !name.is_empty());
        Ok(())
    }),
    row("node-name", "host name", "this FreeSWITCH's name in listings", |config, value| {
        config.node_name = Some(value.to_owned()).filter(|name| !name.is_empty());
        Ok(())
    }),
    row(
        "trusted-proxies",
        "",
        "ACL lists (or networks) of the SIP proxies that authenticate users for this server",
        |config, value| {
            config.settings.trusted_proxies = acl_lists(value)?.into();
            Ok(())
        },
    ),
    row("db-dsn", "callpark", "database of the records: any DSN of the core's database layer", |config, value| {
        if value.is_empty() {
            return Err("empty; leave it out for the SQLite file callpark".into());
        }
        config.settings.db_dsn = value.to_owned();
        Ok(())
    }),
    row("record-days", "90", "days that records are kept", |config, value| {
        config.settings.record_days = number(value, 1, 36_500)?;
        Ok(())
    }),
    row("record-privacy", "full", "what is kept of the caller: full, masked or none", |config, value| {
        config.settings.record_privacy = match value {
            "full" => Privacy::Full,
            "masked" => Privacy::Masked,
            "none" => Privacy::None,
            _ => return Err("not one of full, masked, none".into()),
        };
        Ok(())
    }),
    row("service-level", "60", "seconds within which a parked call should be taken", |config, value| {
        config.settings.service_level = number(value, 1, 86_400)?;
        Ok(())
    }),
    row("recover-window", "60", "seconds for which a dead node's slots are kept for its callers", |config, value| {
        config.settings.recover_window = number(value, 0, 86_400)?;
        Ok(())
    }),
    row("cluster", "false", "several nodes share the lots through db-dsn, which is a pgsql:// one", |config, value| {
        config.settings.cluster = truth(value)?;
        Ok(())
    }),
    row(
        "cluster-dial",
        "",
        "how a retriever's leg reaches another node: a dial string with ${node} and ${slot}",
        |config, value| {
            config.settings.cluster_dial = value.to_owned();
            Ok(())
        },
    ),
    row(
        "http-listen",
        "",
        "address and port of dashboard, JSON API and metrics; a port alone is on loopback",
        |config, value| {
            config.settings.http_listen = match value.parse::<u16>() {
                Ok(port) => format!("127.0.0.1:{port}"),
                Err(_) if value.is_empty() || value.parse::<SocketAddr>().is_ok() => value.to_owned(),
                Err(_) => return Err("not a port nor an address and a port, such as 127.0.0.1:8099".into()),
            };
            Ok(())
        },
    ),
    row("http-token-file", "", "file with the tokens for it, mode 0600", |config, value| {
        config.settings.http_token_file = value.to_owned();
        Ok(())
    }),
];

/// Names of lists in acl.conf.xml, or networks such as 10.0.0.0/24.
fn acl_lists(value: &str) -> Result<Vec<String>, String> {
    let lists = value.split(',').map(str::trim).filter(|list| !list.is_empty());
    lists
        .map(|list| match is_name(list) || is_network(list) {
            true => Ok(list.to_owned()),
            false => Err(format!("'{list}' is neither the name of an ACL list nor a network such as 10.0.0.0/24")),
        })
        .collect()
}

fn is_network(text: &str) -> bool {
    let bits = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
    text.split_once('/').is_some_and(|(address, length)| {
        let (address, length) = (address.parse::<IpAddr>(), length.parse::<u8>());
        address.is_ok_and(|address| length.is_ok_and(|length| length <= bits(&address)))
    })
}

pub(super) fn read(params: &[Param], config: &mut Config, faults: &mut Vec<Fault>) {
    for (name, value) in given_once("settings", params, faults) {
        let value = value.trim();
        let outcome = match SETTINGS.iter().find(|setting| setting.name == name) {
            Some(setting) => (setting.apply)(config, value),
            None => {
                let known = SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
                Err(format!("no such setting; there are: {known}"))
            }
        };
        if let Err(why) = outcome {
            faults.push(fault("settings", name, value, &why));
        }
    }
}
