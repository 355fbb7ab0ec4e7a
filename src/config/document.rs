//! The configuration file as it is written, before anything is checked. What is left out is missed there, where it is known
//! of which lot.

use serde::Deserialize;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[serde(rename = "@name", default)]
    pub name: String,
    #[serde(rename = "@description", default)]
    pub description: String,
    #[serde(default)]
    pub settings: Settings,
    #[serde(default)]
    pub lots: Lots,
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(rename = "param", default)]
    pub params: Vec<Param>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Lots {
    #[serde(rename = "lot", default)]
    pub lots: Vec<Lot>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    #[serde(rename = "@name", default)]
    pub name: String,
    #[serde(rename = "@domain", default)]
    pub domain: String,
    #[serde(rename = "param", default)]
    pub params: Vec<Param>,
    #[serde(rename = "slot", default)]
    pub slots: Vec<SlotLabel>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Param {
    #[serde(rename = "@name", default)]
    pub name: String,
    #[serde(rename = "@value")]
    pub value: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct SlotLabel {
    #[serde(rename = "@number", default)]
    pub number: String,
    #[serde(rename = "@label", default)]
    pub label: String,
}
