//! `callpark`, the command for fs_cli, the event socket and scripts: one table of verbs, of which usage, help and completion
//! are made too.

mod act;
mod completion;
mod listing;
mod look;
mod parse;
mod past;

use std::ffi::CStr;
use std::sync::Arc;

use crate::attendant::{self, Attendant};
use crate::host::{Answer, Command, Completions, Interfaces, add_command};

use parse::Words;

/// What a verb answers when it cannot do its work.
#[derive(Debug)]
enum Wrong {
    /// The words make no sense: the verb's syntax is shown.
    Usage,
    /// They do, but it cannot be done: why.
    Error(String),
}

impl<T: ToString> From<T> for Wrong {
    fn from(why: T) -> Wrong {
        Wrong::Error(why.to_string())
    }
}

/// One verb of the command.
struct Verb {
    name: &'static str,
    syntax: &'static str,
    does: &'static str,
    /// Completion lines after the verb; `::callpark::slots` and `::callpark::lots` are what there is at the moment.
    completes: &'static [&'static str],
    run: fn(&Arc<Attendant>, Words<'_>) -> Result<String, Wrong>,
}

const FORMATS: &[&str] =
    &["as json", "as xml", "as csv", "::callpark::lots as json", "::callpark::lots as xml", "::callpark::lots as csv"];

static VERBS: &[Verb] = &[
    Verb {
        name: "list",
        syntax: "[<lot>] [as json|xml|csv]",
        does: "parked calls",
        completes: FORMATS,
        run: look::list,
    },
    Verb {
        name: "show",
        syntax: "<slot> [<lot>] [as json|xml]",
        does: "one slot in full",
        completes: &["::callpark::slots as json", "::callpark::slots as xml"],
        run: look::show,
    },
    Verb {
        name: "lots",
        syntax: "[as json|xml|csv]",
        does: "every lot: size, used, free, longest wait",
        completes: &["as json", "as xml", "as csv"],
        run: look::lots,
    },
    Verb {
        name: "park",
        syntax: "<uuid> [-bleg] [<slot>|auto] [<lot>]",
        does: "parks a leg, or with -bleg its partner",
        completes: &["::console::list_uuid auto", "::console::list_uuid -bleg auto"],
        run: act::park,
    },
    Verb {
        name: "retrieve",
        syntax: "<slot> <uuid>|<dial string> [<lot>]",
        does: "connects a leg, or whoever answers, with a parked call",
        completes: &["::callpark::slots ::console::list_uuid"],
        run: act::retrieve,
    },
    Verb {
        name: "ringback",
        syntax: "<slot> [<lot>]",
        does: "rings the parker now, not at the time-out",
        completes: &["::callpark::slots"],
        run: act::ringback,
    },
    Verb {
        name: "transfer",
        syntax: "<slot> <extension> [<dialplan> [<context>]] [<lot>]",
        does: "sends the caller elsewhere",
        completes: &["::callpark::slots"],
        run: act::transfer,
    },
    Verb {
        name: "label",
        syntax: "<slot> <text>",
        does: "a word on the call, for the team; <slot>@<domain> in another domain",
        completes: &["::callpark::slots"],
        run: act::label,
    },
    Verb {
        name: "extend",
        syntax: "<slot> <seconds>",
        does: "a later time-out; <slot>@<domain> in another domain",
        completes: &["::callpark::slots"],
        run: act::extend,
    },
    Verb {
        name: "stats",
        syntax: "[<days>] [<lot>] [as json|xml|csv]",
        does: "what was counted, for each lot and day; today's without a number",
        completes: FORMATS,
        run: past::stats,
    },
    Verb {
        name: "history",
        syntax: "[<count>] [<lot>] [as json|xml|csv]",
        does: "calls that were parked, the newest first",
        completes: FORMATS,
        run: past::history,
    },
    Verb {
        name: "reload",
        syntax: "[apply]",
        does: "reads callpark.conf.xml again; a faulty one changes nothing; apply: also for calls already parked",
        completes: &["apply"],
        run: act::reload,
    },
    Verb { name: "status", syntax: "", does: "how the module is", completes: &[], run: look::status },
    Verb { name: "version", syntax: "", does: "which module this is", completes: &[], run: look::version },
    Verb { name: "help", syntax: "[<verb>]", does: "this", completes: &["::callpark::verbs"], run: help },
];

pub(crate) struct Callpark;

impl Command for Callpark {
    const NAME: &'static CStr = c"callpark";
    const DESCRIPTION: &'static CStr = c"Call parking: list, park, retrieve";
    const SYNTAX: &'static CStr =
        c"list|show|lots|park|retrieve|ringback|transfer|label|extend|stats|history|reload|status|version|help";

    fn run(line: &str) -> Answer {
        Answer(match attendant::on_duty() {
            Some(attendant) => answer(&attendant, line),
            None => "-ERR mod_callpark is not loaded\n".into(),
        })
    }
}

pub(crate) fn add(interfaces: &mut Interfaces<'_>) -> bool {
    add_command::<Callpark>(interfaces)
}

/// Tab completion, made of the verbs.
pub(crate) fn completions() -> Completions {
    let mut completions = Completions::new("callpark");
    completions.add_completer::<completion::Slots>();
    completions.add_completer::<completion::Lots>();
    completions.add_completer::<completion::Verbs>();
    for verb in VERBS {
        completions.add_line(verb.name);
        for words in verb.completes {
            completions.add_line(&format!("{} {words}", verb.name));
        }
    }
    completions
}

fn answer(attendant: &Arc<Attendant>, line: &str) -> String {
    let words = match Words::split(line) {
        Ok(words) => words,
        Err(why) => return refusal(&why),
    };
    let (name, words) = words.first();
    let Some(verb) = VERBS.iter().find(|verb| name == Some(verb.name)) else {
        let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
        return format!("-USAGE: callpark {}\n", names.join("|"));
    };
    match (verb.run)(attendant, words) {
        Ok(text) => text,
        Err(Wrong::Usage) => format!("-USAGE: {}\n", usage(verb)),
        Err(Wrong::Error(why)) => refusal(&why),
    }
}

/// On one line, and nothing in it acts on a terminal: it may quote what somebody sent.
fn refusal(why: &str) -> String {
    format!("-ERR {}\n", listing::printable(&why.replace(['\r', '\n'], " ")))
}

fn usage(verb: &Verb) -> String {
    format!("callpark {} {}", verb.name, verb.syntax).trim_end().to_owned()
}

fn help(_: &Arc<Attendant>, words: Words<'_>) -> Result<String, Wrong> {
    let line = |verb: &Verb| format!("{:<58} {}\n", usage(verb), verb.does);
    match words.rest() {
        [] => Ok(VERBS.iter().map(line).collect()),
        [name] => VERBS.iter().find(|verb| verb.name == *name).map(line).ok_or(Wrong::Usage),
        _ => Err(Wrong::Usage),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_refusal_cannot_write_on_the_terminal() {
        assert_eq!(super::refusal("no such channel \u{1b}[2J\n"), "-ERR no such channel \\u{1b}[2J \n");
    }
}
