//! The errors of the configuration.

use std::fmt;

use thiserror::Error;

use crate::parking::{LotId, Slot, SlotsError};

/// The file that errors name.
pub(crate) const FILE_NAME: &str = "callpark.conf.xml";

/// One error in the configuration: where it is, and what it is.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct ConfigError {
    /// The line in the file, if the configuration comes from a file that can be read.
    pub line: Option<u32>,
    /// The part of the file.
    pub section: ConfigSection,
    /// The parameter, attribute or element; empty for the section as a whole.
    pub key: String,
    /// The value; `***` for a secret.
    pub value: Option<String>,
    /// What is wrong.
    pub kind: ConfigErrorKind,
}

/// A part of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigSection {
    /// The file as a whole.
    File,
    /// `<settings>`.
    Settings,
    /// One `<lot>`.
    Lot(LotId),
    /// One `<hook>`, by its name.
    Hook(String),
}

/// What is wrong, and what is expected instead.
#[allow(missing_docs, reason = "each variant has its text beside it")]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigErrorKind {
    #[error("FreeSWITCH has no configuration of this name, expected one in autoload_configs")]
    NotFound,
    #[error("FreeSWITCH cannot read its files: {0}")]
    FilesUnreadable(String),
    #[error("not XML: {0}")]
    NotXml(roxmltree::Error),
    #[error("unknown element in <{parent}>, expected {expected}")]
    UnknownElement { parent: String, expected: String },
    #[error("unknown attribute of <{element}>, expected {expected}")]
    UnknownAttribute { element: String, expected: String },
    #[error("text in <{0}>, expected elements only")]
    Text(String),
    #[error("given twice, expected once")]
    Repeated,
    #[error("a <param> without a name")]
    NoName,
    #[error("has no value, expected value=\"...\"")]
    NoValue,
    #[error("unknown {of}, expected one of {known}")]
    UnknownParam { of: &'static str, known: String },
    #[error("no longer a lot parameter; use {0}")]
    Replaced(&'static str),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("not a name, expected letters, digits, . - _ only")]
    LotName,
    #[error("looks like a slot, expected a name that nobody can dial")]
    LotNameIsSlot,
    #[error("not a domain, expected one, or * for every domain")]
    Domain,
    #[error("not a name, expected letters, digits, . - _ only")]
    HookName,
    #[error("another hook has this name, expected each once")]
    SameHook,
    #[error("missing: a hook needs a url, such as https://chat.example.com/hooks/1")]
    NoUrl,
    #[error("there is no such hook, expected one of {0}")]
    NoSuchHook(String),
    #[error("no lot has the name {0}")]
    NoLotOfHook(String),
    #[error("another lot has this name and domain, expected each once")]
    SameLot,
    #[error("there is no <lot> in <lots>, expected at least one: there is nowhere to park")]
    NoLots,
    #[error("missing: a lot needs slots, such as 701-720")]
    NoSlots,
    #[error("not one of the lot's slots")]
    NotItsSlot,
    #[error("slot {slot} belongs to lot {owner} already, expected each slot once in a domain")]
    SlotOfOtherLot { slot: Slot, owner: LotId },
    #[error("{owner} already, expected a number of its own in each domain")]
    NumberTaken { owner: String },
    #[error("has no effect without {0}")]
    Needs(&'static str),
    #[error("there is no such lot in this domain")]
    NoSuchLot,
    #[error("no lot has this name")]
    NoDefaultLot,
    #[error("a lot cannot overflow into itself")]
    OverflowIntoItself,
    /// Contains the kind of the DSN and not the DSN itself, which may contain a password.
    #[error(
        "the nodes of a cluster share one PostgreSQL database through mod_pgsql, and db-dsn names another ({0}), expected pgsql://..."
    )]
    ClusterDatabase(String),
    #[error("a node of a cluster is dialled by its name, expected letters, digits, and . - _ : [ ]")]
    NodeName,
}

/// Why a value is refused. The text follows the value.
#[allow(missing_docs, reason = "each variant has its text beside it")]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ValueError {
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("expected a whole number from {least} to {most}")]
    OutOfRange { least: u32, most: u32 },
    #[error("expected one of {0}")]
    NotOneOf(String),
    /// One part of a list is invalid.
    #[error("\"{part}\" is not {expected}")]
    Part { part: String, expected: &'static str },
    #[error(transparent)]
    Slots(#[from] SlotsError),
}

impl ConfigError {
    /// Makes an error of the file as a whole.
    pub(crate) fn of_file(kind: ConfigErrorKind) -> ConfigError {
        ConfigError { line: None, section: ConfigSection::File, key: String::new(), value: None, kind }
    }
}

/// Whether the value of a parameter must not be logged, such as a PIN, or a DSN with its password. This includes misspelled names.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pin", "dsn", "secret", "password"].iter().any(|word| key.contains(word))
}

/// Writes how many errors there are.
pub(crate) fn error_count(errors: &[ConfigError]) -> String {
    match errors.len() {
        1 => "1 error".into(),
        count => format!("{count} errors"),
    }
}

impl fmt::Display for ConfigSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigSection::File => Ok(()),
            ConfigSection::Settings => f.write_str("settings: "),
            ConfigSection::Lot(id) => write!(f, "lot {id}: "),
            ConfigSection::Hook(name) => write!(f, "hook {name}: "),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigError { line, section, key, value, kind } = self;
        match line {
            Some(line) => write!(f, "{FILE_NAME}, line {line}: {section}")?,
            None => write!(f, "{FILE_NAME}: {section}")?,
        }
        match value {
            Some(value) => write!(f, "{key}=\"{value}\": {kind}"),
            None if key.is_empty() => write!(f, "{kind}"),
            None => write!(f, "{key}: {kind}"),
        }
    }
}
