//! Reads `callpark.conf.xml` into a checked, immutable [`Config`], or returns all errors in it.

mod cross_checks;
mod document;
mod error;
mod handle;
mod hook;
mod lot;
mod lot_params;
mod privacy;
mod settings;
mod values;

use std::sync::Arc;

use crate::parking::{FeatureCode, LotId, LotPlan, LotSettings, parse_slots};
use document::Element;

pub use cross_checks::is_node_name;
pub use error::{ConfigError, ConfigErrorKind, ConfigSection, ValueError};
pub(crate) use error::{FILE_NAME, error_count};
pub(crate) use handle::ConfigHandle;
#[cfg(test)]
pub(crate) use hook::HOOK_ATTRIBUTES;
pub use hook::{HookFormat, HookPlan, HookUrl, Secret};
pub use lot_params::LOT_PARAMS;
#[cfg(test)]
pub(crate) use lot_params::SLOTS_MEANING;
pub use privacy::Privacy;
pub use settings::SETTINGS;
pub(crate) use values::{parse_bool, parse_destination, parse_ringback, seconds};

/// A checked configuration.
#[derive(Debug, Default, Clone)]
pub struct Config {
    /// The lot that is used if neither the lot nor the slot is named; `None` for the first one.
    pub default_lot: Option<String>,
    /// The lots.
    pub lots: Vec<LotPlan>,
    /// The receivers of events over HTTP.
    pub hooks: Vec<Arc<HookPlan>>,
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
    /// The digits by which a user parks the other party of a conversation.
    pub feature_code: Option<FeatureCode>,
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
    /// The URL of the dashboard for users, without a slash at its end; empty if there is none.
    pub http_url: String,
    /// Seconds for which the slots of a dead node are reserved for its callers.
    pub recover_window: u32,
    /// Whether several nodes share the lots.
    pub cluster: bool,
    /// The dial string, with `${...}`, that connects a retriever's leg with another node.
    pub cluster_dial: String,
    /// Whether the interface of mod_valet_parking is offered.
    pub valet_compat: ValetCompat,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            trusted_proxies: Arc::default(),
            feature_code: None,
            db_dsn: "callpark".into(),
            record_days: 90,
            record_privacy: Privacy::Full,
            service_level: 60,
            http_listen: String::new(),
            http_token_file: String::new(),
            http_url: String::new(),
            recover_window: 60,
            cluster: false,
            cluster_dial: String::new(),
            valet_compat: ValetCompat::default(),
        }
    }
}

/// When the interface of mod_valet_parking is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValetCompat {
    /// If mod_valet_parking is not loaded.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Parses and checks a configuration. Returns all errors, not only the first. `file` is the file that it comes from, as it is written: the
/// errors have the lines of it.
pub fn read(text: &str, file: Option<&str>) -> Result<Config, Vec<ConfigError>> {
    match Element::parse(text, file) {
        Ok(root) => check(&root),
        Err(error) => Err(vec![ConfigError::of_file(ConfigErrorKind::NotXml(error))]),
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

fn check(root: &Element) -> Result<Config, Vec<ConfigError>> {
    let mut errors = Vec::new();
    root.reject_unknown(&ConfigSection::File, &["name", "description"], &["settings", "lots", "hooks"], &mut errors);
    let mut config = Config::default();
    let settings = only_child(root, "settings", &mut errors);
    if let Some(settings) = settings {
        settings::read(settings, &mut config, &mut errors);
    }
    let lots = only_child(root, "lots", &mut errors);
    if let Some(lots) = lots {
        lots.reject_unknown(&ConfigSection::File, &[], &["lot"], &mut errors);
    }
    let elements = lots.into_iter().flat_map(|lots| &lots.children).filter(|child| child.is("lot"));
    let lots: Vec<(LotPlan, &Element)> = elements.map(|element| (lot::read(element, &mut errors), element)).collect();
    if lots.is_empty() {
        errors.push(ConfigError::of_file(ConfigErrorKind::NoLots));
    }
    cross_checks::check(&config, settings, &lots, &mut errors);
    let hooks = only_child(root, "hooks", &mut errors);
    if let Some(hooks) = hooks {
        hooks.reject_unknown(&ConfigSection::File, &[], &["hook"], &mut errors);
    }
    let elements: Vec<&Element> =
        hooks.into_iter().flat_map(|hooks| &hooks.children).filter(|child| child.is("hook")).collect();
    cross_checks::check_hooks(&elements, &lots, &mut errors);
    config.hooks = elements.iter().filter_map(|element| hook::read(element, &mut errors)).map(Arc::new).collect();
    config.lots = lots.into_iter().map(|(plan, _)| plan).collect();
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// Returns the element of this name, and reports further ones.
fn only_child<'a>(root: &'a Element, name: &str, errors: &mut Vec<ConfigError>) -> Option<&'a Element> {
    let mut found = root.children.iter().filter(|child| child.is(name));
    let first = found.next();
    errors.extend(
        found.map(|more| more.error(&ConfigSection::File, &format!("<{name}>"), None, ConfigErrorKind::Repeated)),
    );
    first
}

/// Returns the `<param>` elements with their names and values. A parameter without a value, or given twice, is an error.
fn params<'a>(
    section: &ConfigSection,
    element: &'a Element,
    errors: &mut Vec<ConfigError>,
) -> Vec<(&'a Element, &'a str, &'a str)> {
    let mut given: Vec<(&Element, &str, &str)> = Vec::new();
    for param in element.children.iter().filter(|child| child.is("param")) {
        param.reject_unknown(section, &["name", "value"], &[], errors);
        let (name, value) = (param.attribute("name").unwrap_or_default(), param.attribute("value"));
        match value {
            _ if name.is_empty() => errors.push(param.error(section, "param", value, ConfigErrorKind::NoName)),
            None => errors.push(param.error(section, name, None, ConfigErrorKind::NoValue)),
            Some(value) => {
                if given.iter().any(|(_, before, _)| *before == name) {
                    errors.push(param.error(section, name, Some(value), ConfigErrorKind::Repeated));
                }
                given.push((param, name, value));
            }
        }
    }
    given
}

#[cfg(test)]
mod hook_tests;
#[cfg(test)]
mod tests;
