//! The configuration as it is in files: the document that FreeSWITCH would make of them, and the lines where something is written.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Includes may nest this deep; FreeSWITCH's own limit is higher, and no configuration comes near it.
const MAX_DEPTH: usize = 20;

/// Reads `freeswitch.xml` in a folder as FreeSWITCH does: without comments, with its includes and its `$${variables}`. Returns the document and
/// the variables.
pub(crate) fn document(conf: &Path) -> std::io::Result<(String, HashMap<String, String>)> {
    let mut variables = HashMap::from([("conf_dir".to_owned(), conf.display().to_string())]);
    let mut out = String::new();
    include(&conf.join("freeswitch.xml"), &mut variables, 0, &mut out)?;
    Ok((with_escaped_ampersands(&out), variables))
}

/// Escapes each `&` that begins no character reference of XML, as in `?a=1&b=2` or `&nbsp;`, because FreeSWITCH's parser accepts it.
fn with_escaped_ampersands(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.split_once(';').map_or("", |(name, _)| name);
        let is_reference = ["amp", "lt", "gt", "quot", "apos"].contains(&name) || name.starts_with('#');
        out.push_str(if is_reference { "&" } else { "&amp;" });
        out.push_str(part);
    }
    out
}

fn include(
    path: &Path,
    variables: &mut HashMap<String, String>,
    depth: usize,
    out: &mut String,
) -> std::io::Result<()> {
    // Files of other encodings exist among phrases. What is of interest here is ASCII.
    let text = without_comments(&String::from_utf8_lossy(&fs::read(path)?));
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let text = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(text, |(_, rest)| rest);
    let mut rest = text;
    while let Some(start) = rest.find("<X-PRE-PROCESS") {
        out.push_str(&expand(&rest[..start], variables));
        let tag = &rest[start..];
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, after) = tag.split_at(end);
        rest = after;
        let data = expand(attribute(tag, "data").unwrap_or_default(), variables);
        match attribute(tag, "cmd").unwrap_or_default() {
            "set" | "env-set" | "stun-set" | "exec-set" => {
                if let Some((name, value)) = data.split_once('=') {
                    variables.insert(name.trim().to_owned(), value.trim().to_owned());
                }
            }
            "include" if depth < MAX_DEPTH => {
                for file in glob_in(folder, &data) {
                    include(&file, variables, depth + 1, out)?;
                }
            }
            _ => {}
        }
    }
    out.push_str(&expand(rest, variables));
    Ok(())
}

fn glob_in(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let pattern = folder.join(pattern);
    glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten().collect()
}

/// Replaces each `$${name}`. An unknown one becomes empty, as in FreeSWITCH.
fn expand(text: &str, variables: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(variables.get(name).map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The value of an attribute in the text of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = tag.match_indices(&format!("{name}=")).find(|(at, _)| tag[..*at].ends_with(char::is_whitespace))?;
    let after = &tag[start.0 + start.1.len()..];
    let quote = after.chars().next()?;
    after[1..].split(quote).next()
}

/// Blanks the comments, and keeps the line breaks in them, so that each line keeps its number.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        let (comment, after) = after.split_once("-->").unwrap_or((after, ""));
        out.extend(comment.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A line of a file, outside comments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
}

/// The files of a configuration, in which findings say where to change something.
pub(crate) struct Files {
    pub(crate) conf: PathBuf,
}

impl Files {
    /// The first line of a file with all these words. A quote in a word stands for either kind.
    pub(crate) fn line(&self, file: &Path, words: &[&str]) -> Option<Line> {
        let text = fs::read(file).ok()?;
        let text = without_comments(&String::from_utf8_lossy(&text));
        let numbered = text.lines().enumerate();
        let mut found = numbered.filter(|(_, line)| words.iter().all(|word| line.replace('\'', "\"").contains(word)));
        found.next().map(|(index, line)| Line { number: index + 1, text: line.trim().to_owned() })
    }

    /// The file below a folder that has a line with all these words.
    pub(crate) fn file_with(&self, folder: &Path, words: &[&str]) -> Option<PathBuf> {
        glob_in(folder, "**/*.xml").into_iter().find(|file| self.line(file, words).is_some())
    }

    /// The file of a SIP profile.
    pub(crate) fn profile(&self, name: &str) -> Option<PathBuf> {
        self.file_with(&self.conf.join("sip_profiles"), &["<profile ", &format!("\"{name}\"")])
    }

    /// The user to whom the configuration belongs, as a number.
    pub(crate) fn owner(&self) -> Option<String> {
        Some(fs::metadata(&self.conf).ok()?.uid().to_string())
    }

    pub(crate) fn autoload(&self, name: &str) -> PathBuf {
        self.conf.join("autoload_configs").join(format!("{name}.xml"))
    }

    /// Whether this is a configuration of FusionPBX, also where no script of it serves anything.
    pub(crate) fn are_of_fusionpbx(&self) -> bool {
        self.conf.join("languages").is_dir() && !self.conf.join("lang").is_dir()
    }

    /// The folder of a language: `lang/de`, or FusionPBX's `languages/de`.
    pub(crate) fn language_folder(&self, language: &str) -> PathBuf {
        let fusionpbx = self.conf.join("languages").join(language);
        if fusionpbx.is_dir() { fusionpbx } else { self.conf.join("lang").join(language) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ampersand_that_freeswitch_accepts_is_escaped() {
        let text = "<a b=\"?x=1&y=2\">&lt;&nbsp;&#228;&</a>";
        assert_eq!(with_escaped_ampersands(text), "<a b=\"?x=1&amp;y=2\">&lt;&amp;nbsp;&#228;&amp;</a>");
    }

    #[test]
    fn an_attribute_is_found_by_its_whole_name_and_in_either_quotes() {
        assert_eq!(attribute(r#"<a metadata="1" data='2'/>"#, "data"), Some("2"));
        assert_eq!(attribute(r#"<a metadata="1"/>"#, "data"), None);
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        let conf = std::env::temp_dir().join(format!("callpark-doctor-{}", std::process::id()));
        fs::create_dir_all(&conf).unwrap();
        fs::write(conf.join("freeswitch.xml"), "\u{feff}<?xml version=\"1.0\"?>\n<document/>").unwrap();
        let read = document(&conf).unwrap().0;
        fs::remove_dir_all(&conf).unwrap();
        assert_eq!(read.trim(), "<document/>");
    }
}
