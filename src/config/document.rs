//! Parses the configuration into elements with their lines in the file. Nothing is checked here.

use super::error::{ConfigError, ConfigErrorKind, ConfigSection, is_secret};

/// Elements below this depth are ignored: `<configuration>`, `<lots>`, `<lot>`, `<param>`, and one within that.
const MAX_ELEMENT_DEPTH: usize = 4;

/// An element with its contents.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    /// The line in the file; `None` if it is not known.
    line: Option<u32>,
    pub(super) children: Vec<Element>,
    has_text: bool,
}

impl Element {
    /// Parses the root of `text`, and takes the line numbers from `file`. FreeSWITCH passes a configuration as one text without comments, in which
    /// variables are filled in and other files are included, so its lines are not those that an administrator sees.
    pub(super) fn parse(text: &str, file: Option<&str>) -> Result<Element, roxmltree::Error> {
        let mut root = Element::of(roxmltree::Document::parse(text)?.root_element(), 0);
        let file = file.and_then(|file| roxmltree::Document::parse(file).ok());
        root.take_lines_of(file.map(|file| Element::of(file.root_element(), 0)).as_ref());
        Ok(root)
    }

    fn of(node: roxmltree::Node<'_, '_>, depth: usize) -> Element {
        let elements = node.children().filter(|child| child.is_element() && depth < MAX_ELEMENT_DEPTH);
        Element {
            name: node.tag_name().name().to_owned(),
            attributes: node.attributes().map(|one| (one.name().to_owned(), one.value().to_owned())).collect(),
            line: Some(node.document().text_pos_at(node.range().start).row),
            children: elements.map(|child| Element::of(child, depth + 1)).collect(),
            has_text: node
                .children()
                .any(|child| child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty())),
        }
    }

    /// Takes the lines of `file`. An element is found there by its tag and its name, after the previous element.
    fn take_lines_of(&mut self, file: Option<&Element>) {
        self.line = file.and_then(|file| file.line);
        let mut rest = file.map(|file| file.children.as_slice()).unwrap_or_default();
        for child in &mut self.children {
            let at = rest.iter().position(|other| other.key() == child.key());
            child.take_lines_of(at.and_then(|at| rest.get(at)));
            rest = at.and_then(|at| rest.get(at + 1..)).unwrap_or(rest);
        }
    }

    fn key(&self) -> (&str, &str) {
        (&self.name, self.attribute("name").or_else(|| self.attribute("number")).unwrap_or_default())
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns an error of this element.
    pub(super) fn error(
        &self,
        section: &ConfigSection,
        key: &str,
        value: Option<&str>,
        kind: impl Into<ConfigErrorKind>,
    ) -> ConfigError {
        let value = value.map(|value| if is_secret(key) && !value.is_empty() { "***" } else { value }.to_owned());
        ConfigError { line: self.line, section: section.clone(), key: key.to_owned(), value, kind: kind.into() }
    }

    /// Returns an error of the `<param>` with this name, or of the element if it has none of this name.
    pub(super) fn param_error(
        &self,
        section: &ConfigSection,
        key: &str,
        value: Option<&str>,
        kind: impl Into<ConfigErrorKind>,
    ) -> ConfigError {
        let param = self.children.iter().rfind(|child| child.key() == ("param", key));
        param.unwrap_or(self).error(section, key, value, kind)
    }

    /// Reports attributes, elements and text that the element may not contain.
    pub(super) fn reject_unknown(
        &self,
        section: &ConfigSection,
        attributes: &[&str],
        elements: &[&str],
        errors: &mut Vec<ConfigError>,
    ) {
        let secret = self.attribute("name").is_some_and(is_secret);
        for (name, value) in self.attributes.iter().filter(|(name, _)| !attributes.contains(&name.as_str())) {
            let kind = ConfigErrorKind::UnknownAttribute { element: self.name.clone(), expected: listed(attributes) };
            errors.push(self.error(section, name, Some(if secret { "***" } else { value }), kind));
        }
        for child in self.children.iter().filter(|child| !elements.contains(&child.name.as_str())) {
            let kind = ConfigErrorKind::UnknownElement { parent: self.name.clone(), expected: listed(elements) };
            errors.push(child.error(section, &format!("<{}>", child.name), None, kind));
        }
        if self.has_text {
            errors.push(self.error(section, "", None, ConfigErrorKind::Text(self.name.clone())));
        }
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
