//! Reads `callpark.conf.xml` into a checked, immutable [`Config`], or returns all errors in it.

mod document;
mod handle;
mod lot_params;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::parking::{LotId, LotPlan, LotSettings, Slot, is_name, parse_slots};

pub use document::{Document, Lot as LotElement, Param, SlotLabel};
pub(crate) use handle::ConfigHandle;
pub use lot_params::LOT_PARAMS;
#[cfg(test)]
pub(crate) use lot_params::SLOTS_MEANING;
pub(crate) use lot_params::{parse_bool, parse_ringback, seconds};
pub use settings::SETTINGS;

/// The file that errors name.
const FILE: &str = "callpark.conf.xml";

/// A checked configuration.
#[derive(Debug, Default, Clone)]
pub struct Config {
    /// The lot that is used if neither the lot nor the slot is named; `None` for the first one.
    pub default_lot: Option<String>,
    /// The lots.
    pub lots: Vec<LotPlan>,
    /// The name of this FreeSWITCH; `None` for the name of its host.
    pub node_name: Option<String>,
    /// The other settings.
    pub settings: Settings,
}

/// The settings of the module that are used while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// ACL lists of the SIP proxies that authenticate users for this server.
    pub trusted_proxies: Arc<[String]>,
    /// The database of the history and the slot store.
    pub db_dsn: String,
    /// Days for which the history keeps a call.
    pub record_days: u32,
    /// What the history keeps of a caller.
    pub record_privacy: Privacy,
    /// Seconds within which a parked call should be retrieved.
    pub service_level: u32,
    /// The address and port of dashboard, API and metrics; empty for none.
    pub http_listen: String,
    /// The path of the file with the tokens; empty for none.
    pub http_token_file: String,
    /// Seconds for which the slots of a dead node are reserved for its callers.
    pub recover_window: u32,
    /// Whether several nodes share the lots.
    pub cluster: bool,
    /// The dial string, with `${...}`, that connects a retriever's leg with another node.
    pub cluster_dial: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            trusted_proxies: Arc::default(),
            db_dsn: "callpark".into(),
            record_days: 90,
            record_privacy: Privacy::Full,
            service_level: 60,
            http_listen: String::new(),
            http_token_file: String::new(),
            recover_window: 60,
            cluster: false,
            cluster_dial: String::new(),
        }
    }
}

/// What the history keeps of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Number, name and label.
    Full,
    /// Only the end of the number.
    Masked,
    /// Nothing.
    None,
}

/// One error in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// `settings`, `lot main@example.com`, or empty for the file as a whole.
    pub place: String,
    /// The parameter or attribute; empty for the element as a whole.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

impl ConfigError {
    /// An error in the file as a whole.
    pub(crate) fn of_file(why: impl Into<String>) -> ConfigError {
        fault("", "", "", &why.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { place, key, value, why } = self;
        f.write_str(FILE)?;
        if !place.is_empty() {
            write!(f, ": {place}")?;
        }
        if !key.is_empty() {
            write!(f, ": {key}=\"{value}\"")?;
        }
        write!(f, ": {why}")
    }
}

/// Parses and checks a configuration. Returns all errors, not only the first.
pub fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    match quick_xml::de::from_str::<Document>(text) {
        Ok(document) => check(&document),
        Err(error) => Err(vec![ConfigError::of_file(error.to_string())]),
    }
}

/// The configuration that is used if there is no valid one when the module is loaded, so that a caller who is transferred to a park extension
/// gets a slot in any case.
#[must_use]
pub fn emergency() -> Config {
    let slots = parse_slots("701-720").unwrap_or_default();
    let plan = LotPlan {
        id: LotId::new("main", "*"),
        slots: slots.into(),
        labels: Arc::default(),
        settings: Arc::new(LotSettings::default()),
    };
    Config { lots: vec![plan], ..Config::default() }
}

fn fault(place: &str, key: &str, value: &str, why: &str) -> ConfigError {
    let shown = if is_secret(key) && !value.is_empty() { "***" } else { value };
    ConfigError { place: place.into(), key: key.into(), value: shown.into(), why: why.into() }
}

/// Whether the value of a parameter must not be logged: a PIN, or a DSN with its password. A mistyped name counts too.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pin", "dsn", "secret", "password"].iter().any(|word| key.contains(word))
}

fn check(document: &Document) -> Result<Config, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let mut config = Config::default();
    settings::read(&document.settings.params, &mut config, &mut faults);
    for lot in &document.lots.lots {
        if let Some(plan) = read_lot(lot, &mut faults) {
            config.lots.push(plan);
        }
    }
    if document.lots.lots.is_empty() {
        faults.push(ConfigError::of_file("no <lot> in <lots>: nowhere to park"));
    }
    check_together(&config, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

fn read_lot(lot: &LotElement, faults: &mut Vec<ConfigError>) -> Option<LotPlan> {
    let before = faults.len();
    let id = LotId::new(&lot.name, &lot.domain);
    let place = format!("lot {id}");
    if !is_name(&lot.name) {
        faults.push(fault(&place, "name", &lot.name, "not a name (letters, digits, . - _ only)"));
    }
    if Slot::parse(&lot.name).is_some() {
        faults.push(fault(&place, "name", &lot.name, "looks like a slot; a lot needs another name"));
    }
    if &*id.domain != "*" && !is_name(&lot.domain) {
        faults.push(fault(&place, "domain", &lot.domain, "not a domain, nor * for every domain"));
    }
    let mut settings = LotSettings::default();
    let mut slots = None;
    let mut given: HashMap<&str, &str> = HashMap::new();
    for (name, value) in given_once(&place, &lot.params, faults) {
        given.insert(name, value);
        let outcome = match name {
            "slots" => parse_slots(value).map(|found| slots = Some(found)),
            _ => lot_params::set(name, value, &mut settings),
        };
        if let Err(why) = outcome {
            faults.push(fault(&place, name, value, &why));
        }
    }
    if !given.contains_key("slots") {
        faults.push(fault(&place, "slots", "", "missing: a lot needs slots"));
    }
    contradictions(&place, &settings, &given, faults);
    let slots = slots.unwrap_or_default();
    let labels = read_labels(&place, lot, &slots, faults);
    (faults.len() == before).then(|| LotPlan {
        id,
        slots: slots.into(),
        labels: labels.into(),
        settings: settings.into(),
    })
}

/// Returns the names and values of `<param>` elements. A parameter without a value, or given twice, is an error.
fn given_once<'a>(place: &str, params: &'a [Param], faults: &mut Vec<ConfigError>) -> Vec<(&'a str, &'a str)> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    for Param { name, value } in params {
        if name.is_empty() {
            faults.push(fault(place, "param", value.as_deref().unwrap_or_default(), "has no name"));
            continue;
        }
        let Some(value) = value else {
            faults.push(fault(place, name, "", "has no value"));
            continue;
        };
        if given.iter().any(|(before, _)| before == name) {
            faults.push(fault(place, name, value, "given twice"));
        }
        given.push((name, value));
    }
    given
}

fn read_labels(place: &str, lot: &LotElement, slots: &[Slot], faults: &mut Vec<ConfigError>) -> BTreeMap<Slot, String> {
    let mut labels = BTreeMap::new();
    for SlotLabel { number, label } in &lot.slots {
        match Slot::parse(number).filter(|slot| slots.binary_search(slot).is_ok()) {
            Some(slot) => drop(labels.insert(slot, label.clone())),
            None if slots.is_empty() => {} // said already
            None => faults.push(fault(place, "slot number", number, "not one of the lot's slots")),
        }
    }
    labels
}

fn contradictions(place: &str, settings: &LotSettings, given: &HashMap<&str, &str>, faults: &mut Vec<ConfigError>) {
    let mut needs = |key: &str, other: &str, missing: bool| {
        if missing {
            let value = given.get(key).copied().unwrap_or_default();
            faults.push(fault(place, key, value, &format!("has no effect without {other}")));
        }
    };
    needs("max-park-time", "fallback", !settings.max_park_time.is_zero() && settings.fallback.is_none());
    needs("comfort-interval", "comfort-file", !settings.comfort_interval.is_zero() && settings.comfort_file.is_none());
    needs("comfort-file", "comfort-interval", settings.comfort_interval.is_zero() && settings.comfort_file.is_some());
    needs("exit-key", "exit-destination", settings.exit_key.is_some() && settings.exit_destination.is_none());
    needs("exit-destination", "exit-key", settings.exit_key.is_none() && settings.exit_destination.is_some());
}

/// Checks what concerns several lots or settings: names, slots and references.
fn check_together(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut lots: HashMap<&LotId, ()> = HashMap::new();
    for lot in &config.lots {
        if lots.insert(&lot.id, ()).is_some() {
            faults.push(fault(
                &format!("lot {}", lot.id),
                "name",
                &lot.id.name,
                "another lot has this name and domain",
            ));
        }
    }
    check_slots_unique(config, faults);
    for lot in &config.lots {
        let Some(next) = &lot.settings.overflow_lot else { continue };
        let known = config
            .lots
            .iter()
            .any(|other| *other.id.name == **next && (other.id.domain == lot.id.domain || &*other.id.domain == "*"));
        if !known {
            faults.push(fault(&format!("lot {}", lot.id), "overflow-lot", next, "no such lot in this domain"));
        } else if *lot.id.name == **next {
            faults.push(fault(&format!("lot {}", lot.id), "overflow-lot", next, "a lot cannot overflow into itself"));
        }
    }
    let dsn = &config.settings.db_dsn;
    if config.settings.cluster && !["pgsql://", "postgres://", "postgresql://"].iter().any(|kind| dsn.starts_with(kind))
    {
        // Not the DSN, which may hold a password.
        let kind = dsn.split_once("://").map_or("a file, or ODBC", |(kind, _)| kind);
        let why = format!(
            "the nodes of a cluster share one PostgreSQL database through mod_pgsql, and db-dsn names another ({kind}); expected is \
             pgsql://..."
        );
        faults.push(fault("settings", "cluster", "true", &why));
    }
    if let Some(name) = config.node_name.as_ref().filter(|name| config.settings.cluster && !is_node_name(name)) {
        let why = "a node of a cluster is dialled by its name; expected are letters, digits, and . - _ : [ ]";
        faults.push(fault("settings", "node-name", name, why));
    }
    if let Some(default) = &config.default_lot {
        // A lot with an error is not in the list, and one error must not be reported as two.
        if faults.is_empty() && !config.lots.iter().any(|lot| *lot.id.name == **default) {
            faults.push(fault("settings", "default-lot", default, "no lot has this name"));
        }
    }
}

/// Whether a name may stand in a dial string as a host or port. The names of other nodes come from the database.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    (1..=255).contains(&name.len()) && name.chars().all(allowed)
}

/// Checks that no two lots of a domain have the same slot, because a slot identifies its lot. A template counts in every domain that has no lot of
/// its name.
fn check_slots_unique(config: &Config, faults: &mut Vec<ConfigError>) {
    let domains = config.lots.iter().map(|lot| &lot.id.domain).collect::<std::collections::BTreeSet<_>>();
    for domain in domains {
        let own: Vec<&LotPlan> = config.lots.iter().filter(|lot| lot.id.domain == *domain).collect();
        let templates = config.lots.iter().filter(|lot| {
            &*lot.id.domain == "*" && &**domain != "*" && !own.iter().any(|other| other.id.name == lot.id.name)
        });
        let mut owner: HashMap<&Slot, &LotId> = HashMap::new();
        for lot in own.iter().copied().chain(templates) {
            for slot in lot.slots.iter() {
                match owner.insert(slot, &lot.id) {
                    Some(other) if *other != lot.id => {
                        let why = format!("slot {slot} belongs to lot {other} already");
                        faults.push(fault(&format!("lot {}", lot.id), "slots", slot.as_str(), &why));
                        break;
                    }
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
