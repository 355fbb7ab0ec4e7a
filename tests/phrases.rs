//! Checks the phrases in conf/lang: each language has each phrase, and none names a sound file that the sound packages of the language do not have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use roxmltree::{Document, Node};

/// The phrases that the module says.
const PHRASES: [&str; 11] = [
    "callpark_announce_slot",
    "callpark_page",
    "callpark_full",
    "callpark_empty",
    "callpark_gone",
    "callpark_taken",
    "callpark_denied",
    "callpark_limit",
    "callpark_invalid",
    "callpark_ask_slot",
    "callpark_ask_pin",
];
/// The languages of FreeSWITCH's configuration and of FusionPBX's that have phrases here.
const LANGUAGES: [&str; 9] = ["de", "el", "en", "es", "fr", "he", "pt", "ru", "sv"];
/// The phrase that spells a number, which the others use.
const NUMBER: &str = "callpark_number";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn phrases_of(language: &str) -> String {
    let path = root().join("conf/lang").join(language).join("callpark.xml");
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn named<'a>(node: Node<'a, 'a>, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |child| child.has_tag_name(tag))
}

fn attribute<'a>(node: &Node<'a, 'a>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_else(|| panic!("no {name} in {node:?}"))
}

/// The sound files that a document names. `digits/$1.wav` stands for ten files.
fn sound_files(document: &Document<'_>) -> BTreeSet<String> {
    let played = named(document.root(), "action").filter(|action| attribute(action, "function") == "play-file");
    let files = played.map(|action| attribute(&action, "data").to_owned()).filter(|file| !file.contains("://"));
    files
        .flat_map(|file| match file.contains("$1") {
            true => (0..10).map(|digit| file.replace("$1", &digit.to_string())).collect(),
            false => vec![file],
        })
        .collect()
}

/// tests/sound_files.txt, by language.
fn recorded() -> BTreeMap<String, BTreeSet<String>> {
    let mut recorded = BTreeMap::<_, BTreeSet<_>>::new();
    let text = fs::read_to_string(root().join("tests/sound_files.txt")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (language, file) = line.split_once(' ').expect(line);
        recorded.entry(language.to_owned()).or_default().insert(file.to_owned());
    }
    recorded
}

#[test]
fn each_language_has_each_phrase() {
    let folders = fs::read_dir(root().join("conf/lang")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, LANGUAGES);
    for language in LANGUAGES {
        let text = phrases_of(language);
        let document = Document::parse(&text).unwrap();
        let macros: BTreeSet<_> = named(document.root(), "macro").map(|node| attribute(&node, "name")).collect();
        assert_eq!(macros, PHRASES.into_iter().chain([NUMBER]).collect(), "{language}");
    }
}

#[test]
fn each_phrase_is_only_played_files_and_spelled_numbers() {
    for language in LANGUAGES {
        let text = phrases_of(language);
        let document = Document::parse(&text).unwrap();
        for action in named(document.root(), "action") {
            // `say` needs a module that most installations lack, and `sleep` is no function of a phrase: FreeSWITCH ignores it.
            match attribute(&action, "function") {
                "play-file" => {}
                "phrase" => assert_eq!(attribute(&action, "phrase"), NUMBER, "{language}"),
                other => panic!("{language}: {other}"),
            }
        }
    }
}

#[test]
fn each_named_sound_file_is_in_the_packages_of_its_language() {
    let recorded = recorded();
    for language in LANGUAGES {
        let text = phrases_of(language);
        let files = sound_files(&Document::parse(&text).unwrap());
        assert_eq!(files, recorded[language], "conf/lang/{language}/callpark.xml differs from tests/sound_files.txt");
    }
}

/// Compares tests/sound_files.txt with FreeSWITCH's own lists, where FREESWITCH_SOURCE names a copy of its source.
#[test]
fn the_recorded_sound_files_are_in_the_lists_of_freeswitch() {
    let Some(source) = env::var_os("FREESWITCH_SOURCE").map(PathBuf::from) else {
        return println!("skipped: FREESWITCH_SOURCE is not set");
    };
    for language in ["de", "en", "es", "fr", "pt", "ru"] {
        let lists = lists_of(&source.join("docs/phrase"), language);
        assert!(!lists.is_empty(), "no list of {language} in {}", source.display());
        for (list, files) in lists {
            let missing: Vec<_> = recorded()[language].difference(&files).cloned().collect();
            assert!(missing.is_empty(), "{} has not {missing:?}", list.display());
        }
    }
}

/// The lists of a language and its regions, each with its files.
fn lists_of(folder: &Path, language: &str) -> Vec<(PathBuf, BTreeSet<String>)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_language = paths.filter(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        stem.strip_prefix("phrase_").is_some_and(|name| name == language || name.starts_with(&format!("{language}_")))
    });
    of_language
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let document = Document::parse(&text).unwrap();
            let file = |prompt: Node<'_, '_>| {
                let folder = prompt.parent()?.tag_name().name().to_owned();
                Some(format!("{folder}/{}", prompt.attribute("filename")?))
            };
            let files = named(document.root(), "prompt").filter_map(file).collect();
            (path, files)
        })
        .collect()
}
