//! The table of the settings of the module, from which they are parsed, checked and documented.

use std::net::{IpAddr, SocketAddr};

use super::document::Element;
use super::error::{ConfigError, ConfigErrorKind, ConfigSection, ValueError};
use super::values::{feature_code, number, parse_bool};
use super::{Config, HookUrl, Privacy, ValetCompat, params};
use crate::parking::is_name;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// The default for the manual: a value in backticks, `empty`, or a phrase.
    pub default: &'static str,
    /// The text in the manual, in Markdown.
    pub meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), ValueError>,
}

const fn row(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    apply: fn(&mut Config, &str) -> Result<(), ValueError>,
) -> Setting {
    Setting { name, default, meaning, apply }
}

/// All settings.
pub const SETTINGS: &[Setting] = &[
    row(
        "default-lot",
        "the first lot of the domain in the file",
        "The lot that is used when neither the lot nor the slot is named, or when the slot does not identify the lot.",
        |config, value| {
            config.default_lot = Some(value.to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
    ),
    row(
        "node-name",
        "the host name",
        "The name of this FreeSWITCH in listings and, in a cluster, among the nodes. Each node needs its own name.",
        |config, value| {
            config.node_name = Some(value.to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
    ),
    row(
        "feature-code",
        "empty",
        "The digits (such as `*5`) that a user of this server presses in a conversation to park the other party; see [feature codes](dialplan.md#feature-codes). Empty: none.",
        |config, value| {
            config.settings.feature_code = feature_code(value)?;
            Ok(())
        },
    ),
    row(
        "trusted-proxies",
        "empty",
        "ACL lists or networks of the SIP proxies that authenticate users for this server; see [below](#who-somebody-is).",
        |config, value| {
            config.settings.trusted_proxies = acl_lists(value)?.into();
            Ok(())
        },
    ),
    row(
        "valet-compat",
        "`auto`",
        "Whether the module offers the interface of mod_valet_parking, so that [its dialplans run unchanged](migrating.md): `true`, `false`, or `auto` = if mod_valet_parking is not loaded. It is decided when the module is loaded.",
        |config, value| {
            config.settings.valet_compat = match value {
                "auto" => ValetCompat::Auto,
                _ if parse_bool(value).is_err() => return Err(ValueError::NotOneOf("auto, true, false".into())),
                _ if parse_bool(value) == Ok(true) => ValetCompat::Always,
                _ => ValetCompat::Never,
            };
            Ok(())
        },
    ),
    row(
        "db-dsn",
        "`callpark`",
        "The database of the history and of the occupied slots: the name of a SQLite file, or any DSN of the core's database layer (`pgsql://...` with mod_pgsql, `sqlite://...`, or `odbc://<name>:<user>:<password>` where the core was built with ODBC). A cluster needs `pgsql://...`.",
        |config, value| {
            if value.is_empty() {
                return Err(ValueError::Expected("a DSN; leave it out for the SQLite file callpark"));
            }
            config.settings.db_dsn = value.to_owned();
            Ok(())
        },
    ),
    row(
        "record-days",
        "`90`",
        "Days after which a row of the history is deleted, from 1 to 36500.",
        |config, value| {
            config.settings.record_days = number(value, 1, 36_500)?;
            Ok(())
        },
    ),
    row(
        "record-privacy",
        "`full`",
        "What the history keeps of the caller's number and name and of the label: `full`, `masked` (the end of the number; the name and the label are masked only if they contain digits) or `none`.",
        |config, value| {
            config.settings.record_privacy = match value {
                "full" => Privacy::Full,
                "masked" => Privacy::Masked,
                "none" => Privacy::None,
                _ => return Err(ValueError::NotOneOf("full, masked, none".into())),
            };
            Ok(())
        },
    ),
    row("service-level", "`60`", "Seconds within which a parked call should be retrieved.", |config, value| {
        config.settings.service_level = number(value, 1, 86_400)?;
        Ok(())
    }),
    row(
        "recover-window",
        "`60`",
        "Seconds for which the slots of a FreeSWITCH that crashed are reserved for its callers, from 0 to 86400; see [below](#after-a-crash-and-several-nodes).",
        |config, value| {
            config.settings.recover_window = number(value, 0, 86_400)?;
            Ok(())
        },
    ),
    row("cluster", "`false`", "Whether all nodes with this `db-dsn` share the lots.", |config, value| {
        config.settings.cluster = parse_bool(value)?;
        Ok(())
    }),
    row(
        "cluster-dial",
        "empty",
        "The dial string that connects a retriever's leg to another node, with `${node}` and `${slot}`.",
        |config, value| {
            config.settings.cluster_dial = value.to_owned();
            Ok(())
        },
    ),
    row(
        "http-listen",
        "empty",
        "The address and port of the [dashboard, the JSON API and the metrics](dashboard.md). A port alone listens on loopback. Empty: there is no HTTP server.",
        |config, value| {
            config.settings.http_listen = match value.parse::<u16>() {
                Ok(port) => format!("127.0.0.1:{port}"),
                Err(_) if value.is_empty() || value.parse::<SocketAddr>().is_ok() => value.to_owned(),
                Err(_) => return Err(ValueError::Expected("a port, or an address and a port such as 127.0.0.1:8099")),
            };
            Ok(())
        },
    ),
    row(
        "http-token-file",
        "empty",
        "The file with the tokens for the HTTP server. Its mode must be 0600.",
        |config, value| {
            config.settings.http_token_file = value.to_owned();
            Ok(())
        },
    ),
    row(
        "http-url",
        "empty",
        "The URL at which users open the dashboard, such as `https://park.example.com`. The messages of [hooks](hooks.md) link to it. Empty: they have no link.",
        |config, value| {
            config.settings.http_url = url(value)?.trim_end_matches('/').to_owned();
            Ok(())
        },
    ),
];

fn url(value: &str) -> Result<&str, ValueError> {
    match HookUrl::parse(value) {
        Ok(_) => Ok(value),
        Err(_) if value.is_empty() => Ok(value),
        Err(why) => Err(why),
    }
}

/// Parses names of lists in acl.conf.xml, and networks such as 10.0.0.0/24.
fn acl_lists(value: &str) -> Result<Vec<String>, ValueError> {
    const EXPECTED: &str = "the name of an ACL list or a network such as 10.0.0.0/24";
    let lists = value.split(',').map(str::trim).filter(|list| !list.is_empty());
    lists
        .map(|list| match is_name(list) || is_network(list) {
            true => Ok(list.to_owned()),
            false => Err(ValueError::Part { part: list.to_owned(), expected: EXPECTED }),
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

pub(super) fn read(element: &Element, config: &mut Config, errors: &mut Vec<ConfigError>) {
    element.reject_unknown(&ConfigSection::Settings, &[], &["param"], errors);
    for (param, name, value) in params(&ConfigSection::Settings, element, errors) {
        let value = value.trim();
        let done = match SETTINGS.iter().find(|setting| setting.name == name) {
            Some(setting) => (setting.apply)(config, value).map_err(ConfigErrorKind::from),
            None => {
                let known = SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ");
                Err(ConfigErrorKind::UnknownParam { of: "setting", known })
            }
        };
        errors.extend(done.err().map(|kind| param.error(&ConfigSection::Settings, name, Some(value), kind)));
    }
}
