//! The elements of the configuration file, before they are checked. Missing attributes are reported by the check, which can name the lot.

use serde::Deserialize;

/// `<configuration>`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `callpark.conf`.
    #[serde(rename = "@name", default)]
    pub name: String,
    /// A text for administrators.
    #[serde(rename = "@description", default)]
    pub description: String,
    /// `<settings>`.
    #[serde(default)]
    pub settings: Settings,
    /// `<lots>`.
    #[serde(default)]
    pub lots: Lots,
}

/// `<settings>`.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its `<param>` elements.
    #[serde(rename = "param", default)]
    pub params: Vec<Param>,
}

/// `<lots>`.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Lots {
    /// Its `<lot>` elements.
    #[serde(rename = "lot", default)]
    pub lots: Vec<Lot>,
}

/// `<lot name="" domain="">`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    /// The name of the lot.
    #[serde(rename = "@name", default)]
    pub name: String,
    /// Its domain, or `*`.
    #[serde(rename = "@domain", default)]
    pub domain: String,
    /// Its `<param>` elements.
    #[serde(rename = "param", default)]
    pub params: Vec<Param>,
    /// Its `<slot>` elements.
    #[serde(rename = "slot", default)]
    pub slots: Vec<SlotLabel>,
}

/// `<param name="" value="">`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The name; empty if it is missing.
    #[serde(rename = "@name", default)]
    pub name: String,
    /// The value; `None` if it is missing.
    #[serde(rename = "@value")]
    pub value: Option<String>,
}

/// `<slot number="" label="">`.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct SlotLabel {
    /// The slot.
    #[serde(rename = "@number", default)]
    pub number: String,
    /// Its label.
    #[serde(rename = "@label", default)]
    pub label: String,
}
