//! Runs command lines of `callpark` while a call is parked.

use std::sync::Arc;

use super::inject_fault;
use crate::commands::Callpark;
use crate::freeswitch::{Command, CommandOutput, StateLookup};
use crate::module::Loaded;
use crate::service::ParkingService;

/// The verbs whose answer may be in each format.
const LISTINGS: [&str; 7] = ["list", "show", "lots", "stats", "history", "report", "export"];

/// Runs a few commands, one in each line, one after the other.
pub fn command(text: &str) {
    for line in text.split('\n').take(8) {
        // C ends a line at a NUL.
        let line = line.split('\0').next().unwrap_or_default().trim();
        let CommandOutput(answer) = Callpark::run(Loaded::find(), line);
        check_answer(line, &answer);
        let service: Arc<ParkingService> = Loaded::find().expect("loaded");
        if let Err(why) = service.check() {
            panic!("after {line:?}: {why}");
        }
    }
}

fn check_answer(line: &str, answer: &str) {
    assert!(answer.ends_with('\n') || answer.is_empty(), "{line:?}: {answer:?}");
    let unruly = |c: char| c.is_control() && c != '\n';
    if answer.starts_with("-ERR ") || answer.starts_with("-USAGE: ") {
        assert!(answer.lines().count() == 1 && !answer.contains(unruly), "{line:?}: {answer:?}");
        return;
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let verb = words.first().copied().unwrap_or_default();
    let acts = !LISTINGS.contains(&verb) && !matches!(verb, "status" | "version" | "help");
    match words.as_slice() {
        _ if acts => {
            assert!(answer.starts_with("+OK") && answer.lines().count() == 1, "{line:?}: {answer:?}");
            inject_fault(verb == "label" && line.contains(char::is_control));
        }
        [.., "as", "json"] => {
            serde_json::from_str::<serde_json::Value>(answer).unwrap_or_else(|why| panic!("{line:?}: {why}: {answer}"));
        }
        [.., "as", "xml"] => is_xml(line, answer),
        // A quoted text may contain line breaks.
        [.., "as", "csv"] => {
            let mut reader = csv::Reader::from_reader(answer.as_bytes());
            let columns = reader.headers().expect("a header").len();
            assert!(reader.records().all(|row| row.expect("a row").len() == columns), "{line:?}: {answer:?}");
        }
        _ => assert!(!answer.contains(unruly), "{line:?}: {answer:?}"),
    }
}

fn is_xml(line: &str, text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(_) => {}
            Err(why) => panic!("{line:?}: {why}: {text}"),
        }
    }
}
