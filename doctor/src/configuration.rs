//! What of FreeSWITCH's configuration concerns the module.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

/// FreeSWITCH's configuration, from its document.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    /// The modules that are loaded at the start.
    pub(crate) modules: Vec<String>,
    pub(crate) profiles: Vec<Profile>,
    /// The rules of the presence map: expression and protocol.
    pub(crate) presence_map: Vec<(String, String)>,
    pub(crate) contexts: Vec<Context>,
    pub(crate) languages: Vec<Language>,
    /// The languages that users have.
    pub(crate) languages_in_use: BTreeSet<String>,
    pub(crate) users: BTreeSet<String>,
    /// callpark.conf.xml, if there is one.
    pub(crate) callpark: Option<Callpark>,
    /// What serves SIP profiles and dialplan; None if the files do.
    pub(crate) server: Option<Server>,
}

/// A program that serves SIP profiles, dialplan and users from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The script of FusionPBX, which runs in mod_lua. Its pages also write modules.conf.xml.
    FusionPbx,
    /// Another script, or a web server that mod_xml_curl asks.
    Other,
}

/// A SIP profile.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) dialplan: String,
    /// Whether phones of users register with it.
    pub(crate) is_for_users: bool,
    pub(crate) tracks_calls: bool,
    pub(crate) looks_up_presence: bool,
}

/// A context of the XML dialplan.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) extensions: Vec<Extension>,
}

/// An extension of the XML dialplan.
#[derive(Debug, Default)]
pub(crate) struct Extension {
    pub(crate) name: String,
    /// The expressions that the number must match.
    pub(crate) numbers: Vec<String>,
    /// Each action: application and data.
    pub(crate) actions: Vec<(String, String)>,
    pub(crate) goes_on: bool,
}

impl Extension {
    /// Whether it parks or retrieves.
    pub(crate) fn is_of_module(&self) -> bool {
        self.actions.iter().any(|(application, _)| application.starts_with("callpark_"))
    }

    /// Whether it binds a feature code that parks.
    pub(crate) fn binds_feature_code(&self) -> bool {
        self.actions
            .iter()
            .any(|(application, data)| application.starts_with("bind_") && data.contains("callpark_park"))
    }
}

/// The phrases of a language.
#[derive(Debug, Default)]
pub(crate) struct Language {
    pub(crate) name: String,
    pub(crate) macros: BTreeSet<String>,
}

/// What callpark.conf.xml says.
#[derive(Debug, Default)]
pub(crate) struct Callpark {
    pub(crate) lots: Vec<Lot>,
    /// The slots of all lots.
    pub(crate) slots: Vec<String>,
    pub(crate) feature_code: String,
    pub(crate) db_dsn: String,
    pub(crate) token_file: String,
}

/// What callpark.conf.xml says about a lot.
#[derive(Debug, Default)]
pub(crate) struct Lot {
    pub(crate) name: String,
    pub(crate) park_extension: String,
    pub(crate) fallback: String,
}

impl Configuration {
    /// Reads the document, and `sofia.conf` from its own text if there is one, because a program may serve it.
    pub(crate) fn parse(document: &str, sofia: Option<&str>) -> Result<Configuration, roxmltree::Error> {
        let document = Document::parse(document)?;
        let sofia = sofia.map(Document::parse).transpose()?;
        let root = document.root_element();
        let found = |name| configuration(root, name);
        let lists = ["pre_load_modules.conf", "modules.conf", "post_load_modules.conf"];
        let loads = lists.into_iter().filter_map(found).flat_map(|list| tags(list, "load"));
        let sofia = sofia.as_ref().map(Document::root_element).or_else(|| found("sofia.conf"));
        let presence_map = found("presence_map.conf").into_iter().flat_map(|map| tags(map, "exten"));
        let users = in_section(root, "directory", "user");
        Ok(Configuration {
            modules: loads.map(|load| attribute(load, "module")).collect(),
            profiles: sofia.into_iter().flat_map(|sofia| tags(sofia, "profile")).map(profile).collect(),
            presence_map: presence_map.map(|rule| (attribute(rule, "regex"), attribute(rule, "proto"))).collect(),
            contexts: in_section(root, "dialplan", "context").map(context).collect(),
            languages: in_section(root, "languages", "language").map(language).collect(),
            languages_in_use: languages_of_users(root),
            users: users.map(|user| attribute(user, "id")).collect(),
            callpark: found("callpark.conf").map(callpark),
            server: found("lua.conf").and_then(lua_server).or_else(|| found("xml_curl.conf").and_then(curl_server)),
        })
    }
}

/// Whether a list of sections (`configuration,dialplan`, `configuration|dialplan`) has those in which the module's numbers are.
fn serves(sections: &str) -> bool {
    sections.contains("dialplan") || sections.contains("configuration")
}

fn lua_server(lua: Node<'_, '_>) -> Option<Server> {
    let is_fusionpbx = param(lua, "xml-handler-script").split_whitespace().eq(["app.lua", "xml_handler"]);
    serves(&param(lua, "xml-handler-bindings")).then_some(if is_fusionpbx { Server::FusionPbx } else { Server::Other })
}

fn curl_server(curl: Node<'_, '_>) -> Option<Server> {
    let mut urls = tags(curl, "param").filter(|node| is(*node, "param", "gateway-url"));
    urls.any(|url| serves(&attribute(url, "bindings"))).then_some(Server::Other)
}

/// All tags of a name in the section of a name.
fn in_section<'a>(root: Node<'a, 'a>, section: &'a str, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    root.children().filter(move |node| is(*node, "section", section)).flat_map(move |section| tags(section, tag))
}

fn configuration<'a>(root: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    in_section(root, "configuration", "configuration").find(|node| is(*node, "configuration", name))
}

fn is(node: Node<'_, '_>, tag: &str, name: &str) -> bool {
    node.has_tag_name(tag) && node.attribute("name") == Some(name)
}

fn tags<'a>(node: Node<'a, 'a>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |node| node.has_tag_name(tag))
}

fn attribute(node: Node<'_, '_>, name: &str) -> String {
    node.attribute(name).unwrap_or_default().to_owned()
}

/// The value of the first `<param>` of this name below a node; empty if there is none.
/// The value of a parameter. Of several, FreeSWITCH takes the last. A gateway in a profile has parameters of its own.
fn param(node: Node<'_, '_>, name: &str) -> String {
    let of_gateway = |param: Node<'_, '_>| param.ancestors().any(|node| node.has_tag_name("gateway"));
    let mut found = node.descendants().filter(|node| is(*node, "param", name) && !of_gateway(*node));
    found.next_back().map(|param| attribute(param, "value")).unwrap_or_default()
}

fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "enable", "enabled", "active", "allow", "t"].contains(&value.to_ascii_lowercase().as_str())
        || value.parse::<i64>().is_ok_and(|number| number != 0)
}

fn profile(node: Node<'_, '_>) -> Profile {
    let name = attribute(node, "name");
    Profile {
        dialplan: param(node, "dialplan"),
        // In FusionPBX the profile for trunks authenticates too, and both have the context `public`.
        is_for_users: is_true(&param(node, "auth-calls"))
            && !is_true(&param(node, "disable-register"))
            && !name.to_ascii_lowercase().contains("external"),
        name,
        tracks_calls: is_true(&param(node, "track-calls")),
        looks_up_presence: is_true(&param(node, "presence-proto-lookup")),
    }
}

fn context(node: Node<'_, '_>) -> Context {
    Context { name: attribute(node, "name"), extensions: tags(node, "extension").map(extension).collect() }
}

fn extension(node: Node<'_, '_>) -> Extension {
    let numbers =
        tags(node, "condition").filter(|condition| condition.attribute("field") == Some("destination_number"));
    let actions = tags(node, "action").chain(tags(node, "anti-action"));
    Extension {
        name: attribute(node, "name"),
        numbers: numbers.map(expression).collect(),
        actions: actions.map(|action| (attribute(action, "application"), attribute(action, "data"))).collect(),
        goes_on: node.attribute("continue").is_some_and(is_true),
    }
}

/// The expression of a condition, which is an attribute or an element.
fn expression(condition: Node<'_, '_>) -> String {
    let element = condition.children().find(|node| node.has_tag_name("expression"));
    let text = element.and_then(|node| node.text()).map(|text| text.trim().to_owned());
    text.unwrap_or_else(|| attribute(condition, "expression"))
}

fn language(node: Node<'_, '_>) -> Language {
    let macros = tags(node, "macro").map(|phrase| attribute(phrase, "name")).collect();
    Language { name: attribute(node, "name"), macros }
}

/// The languages that users, groups and domains have in the directory.
fn languages_of_users(root: Node<'_, '_>) -> BTreeSet<String> {
    let variables = in_section(root, "directory", "variable").filter(|node| is(*node, "variable", "default_language"));
    variables.map(|variable| attribute(variable, "value")).filter(|value| !value.is_empty()).collect()
}

fn callpark(node: Node<'_, '_>) -> Callpark {
    let slots = tags(node, "param").filter(|node| is(*node, "param", "slots"));
    Callpark {
        lots: tags(node, "lot").map(lot).collect(),
        slots: slots.flat_map(|param| numbers(&attribute(param, "value"))).collect(),
        feature_code: param(node, "feature-code"),
        db_dsn: param(node, "db-dsn"),
        token_file: param(node, "http-token-file"),
    }
}

fn lot(node: Node<'_, '_>) -> Lot {
    Lot {
        name: attribute(node, "name"),
        park_extension: param(node, "park-extension"),
        fallback: param(node, "fallback"),
    }
}

/// The numbers of a list such as `701-720,*5901-*5910`. A range that cannot be read counts as its first number.
fn numbers(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).flat_map(range).collect()
}

/// The most numbers of one range that are looked at.
const MAX_RANGE: u64 = 10_000;

fn range(item: &str) -> Vec<String> {
    let Some((first, last)) = item.split_once('-') else { return vec![item.to_owned()] };
    let digits = |text: &str| text.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned();
    let (from, to) = (digits(first), digits(last));
    let prefix = &first[..first.len() - from.len()];
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(low), Ok(high)) if low <= high => {
            let numbers = (low..=high).take(MAX_RANGE as usize);
            numbers.map(|number| format!("{prefix}{number:0width$}", width = from.len())).collect()
        }
        _ => vec![first.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_parameters_counts() {
        let settings = r#"<param name="dialplan" value="callpark,XML"/><param name="dialplan" value="XML"/>"#;
        let gateway = r#"<gateways><gateway><param name="dialplan" value="x"/></gateway></gateways>"#;
        let text = format!("<profile><settings>{settings}</settings>{gateway}</profile>");
        assert_eq!(param(Document::parse(&text).unwrap().root_element(), "dialplan"), "XML");
    }

    #[test]
    fn a_list_of_slots_is_expanded() {
        assert_eq!(numbers("701-703, 750"), ["701", "702", "703", "750"]);
        assert_eq!(numbers("*098-*101"), ["*098", "*099", "*100", "*101"]);
        assert_eq!(numbers("x-y,"), ["x"]);
    }
}
