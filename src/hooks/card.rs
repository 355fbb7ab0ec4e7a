//! The text of an event for people: one sentence, a few facts, and a link. All of it is data, which each chat service escapes in its own way.

use crate::parking::{NotifyEvent, Outcome};
use crate::service::CallRow;

/// The maximum number of characters of one text, because text from callers may be longer than a chat service accepts.
const MAX_CHARS: usize = 200;

/// What a message in a chat says.
#[derive(Debug)]
pub(super) struct Card<'a> {
    pub(super) sentence: String,
    /// What each fact is, and its text.
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) link: Option<&'a str>,
    /// Whether somebody should act.
    pub(super) is_urgent: bool,
}

impl<'a> Card<'a> {
    pub(super) fn new(
        event: NotifyEvent,
        call: &CallRow,
        retriever: &str,
        cause: &str,
        link: Option<&'a str>,
    ) -> Card<'a> {
        let place = if call.slot.is_empty() { format!("{}@{}", call.lot, call.domain) } else { call.slot.clone() };
        let wait = duration(call.wait_ms);
        let caller = caller(call);
        let who = if caller.is_empty() { "A caller" } else { &caller };
        let sentence = match event {
            NotifyEvent::Park => format!("{who} is parked in {place}"),
            NotifyEvent::Remind => format!("{who} in {place} has waited for {wait}"),
            NotifyEvent::NoSlot => format!("{who} waits for a slot in {place}: {cause}"),
            NotifyEvent::Ended(Outcome::Retrieved) if retriever.is_empty() => format!("{who} in {place} was retrieved"),
            NotifyEvent::Ended(Outcome::Retrieved) => format!("{who} in {place} was retrieved by {retriever}"),
            NotifyEvent::Ended(Outcome::Returned) => format!("{who} in {place} was returned to the parker"),
            NotifyEvent::Ended(Outcome::Fallback) => format!("{who} in {place} went to the fallback"),
            NotifyEvent::Ended(Outcome::Transferred) => format!("{who} in {place} was transferred"),
            NotifyEvent::Ended(Outcome::Abandoned) => format!("{who} in {place} hung up"),
        };
        let lot = format!("{}@{}", call.lot, call.domain);
        let facts = [
            ("Slot", call.slot.clone()),
            ("Lot", lot),
            ("Caller", caller),
            ("Label", call.label.clone()),
            ("Waited", wait),
            ("Parked by", call.parker.clone()),
        ];
        let facts = facts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| (what, short(&text)));
        let is_urgent = matches!(event, NotifyEvent::Remind | NotifyEvent::NoSlot);
        Card { sentence: short(&sentence), facts: facts.collect(), link, is_urgent }
    }

    /// What the link is called.
    pub(super) const LINK: &'static str = "Open the dashboard";
}

/// The caller's name and number; empty if neither is known.
fn caller(call: &CallRow) -> String {
    match (call.caller_name.as_str(), call.caller_number.as_str()) {
        (name, number) if name.is_empty() || name == number => number.to_owned(),
        (name, "") => name.to_owned(),
        (name, number) => format!("{name} ({number})"),
    }
}

/// A time as people say it: `42 s`, `3 min 5 s`, `1 h 2 min`.
fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// One line of limited length.
fn short(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = line.take(MAX_CHARS).collect();
    if text.chars().count() > MAX_CHARS {
        short.push('…');
    }
    short
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::hooks) fn row() -> CallRow {
        CallRow {
            lot: "main".into(),
            domain: "example.com".into(),
            slot: "701".into(),
            state: "parked",
            wait_ms: 65_000,
            parked_at: 0,
            timeout_at: None,
            late: false,
            caller_name: "Mr Chen".into(),
            caller_number: "030123".into(),
            parker: "1001@example.com".into(),
            label: "invoice".into(),
            attempt: 0,
            uuid: "u".into(),
            node: "n".into(),
        }
    }

    #[test]
    fn a_sentence_says_what_happened() {
        let ended = NotifyEvent::Ended;
        for (event, retriever, cause, expected) in [
            (NotifyEvent::Park, "", "", "Mr Chen (030123) is parked in 701"),
            (NotifyEvent::Remind, "", "", "Mr Chen (030123) in 701 has waited for 1 min 5 s"),
            (ended(Outcome::Retrieved), "1002@a", "", "Mr Chen (030123) in 701 was retrieved by 1002@a"),
            (ended(Outcome::Abandoned), "", "", "Mr Chen (030123) in 701 hung up"),
        ] {
            assert_eq!(Card::new(event, &row(), retriever, cause, None).sentence, expected);
        }
        let without =
            CallRow { slot: String::new(), caller_name: String::new(), caller_number: String::new(), ..row() };
        let card = Card::new(NotifyEvent::NoSlot, &without, "", "full", None);
        assert_eq!(card.sentence, "A caller waits for a slot in main@example.com: full");
        assert!(card.facts.iter().all(|(what, text)| !text.is_empty() && *what != "Slot" && *what != "Caller"));
    }

    #[test]
    fn a_text_is_one_line_of_limited_length() {
        let long = CallRow { caller_name: "a\nb\u{7}".into(), label: "é".repeat(300), ..row() };
        let card = Card::new(NotifyEvent::Park, &long, "", "", None);
        assert!(card.sentence.starts_with("a b  (030123)"), "{}", card.sentence);
        let label = &card.facts.iter().find(|(what, _)| *what == "Label").unwrap().1;
        assert_eq!((label.chars().count(), label.ends_with('…')), (201, true));
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!([999, 61_000, 3_725_000].map(duration), ["0 s", "1 min 1 s", "1 h 2 min"]);
    }
}
