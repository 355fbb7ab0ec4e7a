//! The command `callpark` for fs_cli, the event socket and scripts. Parsing, usage, help and completion come from one table of verbs.

mod actions;
mod completion;
mod error;
mod listing;
mod parse;
mod privacy;
mod report;
mod reporting;
mod show;

use std::ffi::CStr;
use std::sync::Arc;

use crate::freeswitch::{Command, CommandOutput, Completions, Interfaces, StateLookup, add_command};
use crate::hooks::Hooks;
use crate::moh::SharedMusic;
use crate::service::ParkingService;
use crate::storage::Storage;
use crate::web::{HttpServer, without_links};

use error::CommandError;
use parse::Arguments;

/// What the verbs work with.
pub(crate) struct CommandContext {
    pub(crate) service: Arc<ParkingService>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) music: Arc<SharedMusic>,
    pub(crate) http: Arc<HttpServer>,
    pub(crate) hooks: Arc<Hooks>,
}

/// One verb of the command.
struct Verb {
    name: &'static str,
    syntax: &'static str,
    /// What it does, in Markdown; `help` shows it without backticks and links.
    does: &'static str,
    /// What it answers if it succeeds, in Markdown, for the manual.
    #[cfg_attr(not(test), allow(dead_code))]
    answers: &'static str,
    /// The completions after the verb. `::callpark::slots` and `::callpark::lots` stand for the present slots and lots.
    completes: &'static [&'static str],
    run: fn(&CommandContext, Arguments<'_>) -> Result<String, CommandError>,
}

const FORMATS: &[&str] =
    &["as json", "as xml", "as csv", "::callpark::lots as json", "::callpark::lots as xml", "::callpark::lots as csv"];

const REPORT_COMPLETIONS: &[&str] = &[
    "today today",
    "yesterday yesterday",
    "7d today",
    "30d today",
    "7d today by hour",
    "7d today by day",
    "7d today by lot",
    "7d today by parker",
    "7d today by retriever",
    "7d today by day ::callpark::lots",
    "7d today by day as json",
    "7d today by day as xml",
    "7d today by day as csv",
];

const VERBS: &[Verb] = &[
    Verb {
        name: "list",
        syntax: "[<lot>] [as json|xml|csv]",
        does: "Lists the parked calls.",
        answers: "One row for each call; a table, or an array in JSON.",
        completes: FORMATS,
        run: show::list,
    },
    Verb {
        name: "show",
        syntax: "<slot> [<lot>] [as json|xml]",
        does: "Shows one parked call in full.",
        answers: "Each field of the call on a line of its own, or one object in JSON.",
        completes: &["::callpark::slots as json", "::callpark::slots as xml"],
        run: show::show,
    },
    Verb {
        name: "lots",
        syntax: "[as json|xml|csv]",
        does: "Lists the lots.",
        answers: "One row for each lot: its size, the slots that are occupied and free, and the longest wait.",
        completes: &["as json", "as xml", "as csv"],
        run: show::lots,
    },
    Verb {
        name: "park",
        syntax: "<uuid> [-bleg] [<slot>|auto] [<lot>]",
        does: "Parks a leg, or with `-bleg` the leg that it is bridged to.",
        answers: "`+OK <slot> <lot>@<domain>`.",
        completes: &["::console::list_uuid auto", "::console::list_uuid -bleg auto"],
        run: actions::park,
    },
    Verb {
        name: "retrieve",
        syntax: "<slot> <uuid>|<dial string> [<lot>]",
        does: "Connects a leg, or the party that answers a dial string, to a parked call.",
        answers: "`+OK <slot> <uuid>` with the UUID of the parked leg.",
        completes: &["::callpark::slots ::console::list_uuid"],
        run: actions::retrieve,
    },
    Verb {
        name: "ringback",
        syntax: "<slot> [<lot>]",
        does: "Starts the recall at once.",
        answers: "`+OK <slot> <lot>@<domain>`.",
        completes: &["::callpark::slots"],
        run: actions::ringback,
    },
    Verb {
        name: "transfer",
        syntax: "<slot> <extension> [<dialplan> [<context>]] [<lot>]",
        does: "Sends the caller to an extension.",
        answers: "`+OK <slot> <lot>@<domain>`.",
        completes: &["::callpark::slots"],
        run: actions::transfer,
    },
    Verb {
        name: "label",
        syntax: "<slot> <text>",
        does: "Sets the label of a call. The text `\"\"` removes it. The slot may be written as `<slot>@<domain>`.",
        answers: "`+OK <slot> <lot>@<domain>`.",
        completes: &["::callpark::slots"],
        run: actions::label,
    },
    Verb {
        name: "extend",
        syntax: "<slot> <seconds>",
        does: "Postpones the time-out of a call. The slot may be written as `<slot>@<domain>`.",
        answers: "`+OK <slot> <lot>@<domain>`.",
        completes: &["::callpark::slots"],
        run: actions::extend,
    },
    Verb {
        name: "stats",
        syntax: "[<days>] [<lot>] [as json|xml|csv]",
        does: "Counts calls for each lot and day. Without a number, it counts those of today.",
        answers: "One row for each lot and day.",
        completes: FORMATS,
        run: report::stats,
    },
    Verb {
        name: "history",
        syntax: "[<count>] [<lot>] [as json|xml|csv]",
        does: "Lists calls that are no longer parked, the newest first. Without a number, it lists 20.",
        answers: "One row for each call.",
        completes: FORMATS,
        run: report::history,
    },
    Verb {
        name: "report",
        syntax: "<from> <to> [by hour|day|lot|parker|retriever] [<lot>] [tz <zone>] [as json|xml|csv]",
        does: "Reports how the calls of a range of time ended and how long they waited; see [reports](reports.md).",
        answers: "One row for each group, one for all, one for the period before, and what stands out; one object in JSON.",
        completes: REPORT_COMPLETIONS,
        run: reporting::report,
    },
    Verb {
        name: "export",
        syntax: "<number> [as json|xml|csv]",
        does: "Lists all calls of one caller that the history has; see [privacy](privacy.md).",
        answers: "One row for each call.",
        completes: &[],
        run: privacy::export,
    },
    Verb {
        name: "forget",
        syntax: "<number>",
        does: "Erases one caller from the history; see [privacy](privacy.md).",
        answers: "`+OK <count> rows of the history erased`.",
        completes: &[],
        run: privacy::forget,
    },
    Verb {
        name: "reload",
        syntax: "[apply]",
        does: "Reads callpark.conf.xml again. A faulty file changes nothing. With `apply`, parked calls get the new settings too.",
        answers: "`+OK`.",
        completes: &["apply"],
        run: actions::reload,
    },
    Verb {
        name: "status",
        syntax: "",
        does: "Shows the state of the module.",
        answers: "One line for each value.",
        completes: &[],
        run: show::status,
    },
    Verb {
        name: "version",
        syntax: "",
        does: "Shows the version of the module.",
        answers: "One line.",
        completes: &[],
        run: show::version,
    },
    Verb {
        name: "help",
        syntax: "[<verb>]",
        does: "Shows the syntax of one verb, or of each.",
        answers: "One line for each verb.",
        completes: &["::callpark::verbs"],
        run: help,
    },
];

pub(crate) struct Callpark;

impl Command for Callpark {
    type Context = CommandContext;
    const NAME: &'static CStr = c"callpark";
    const DESCRIPTION: &'static CStr = c"Call parking: list, park, retrieve";
    const SYNTAX: &'static CStr =
        c"list|show|lots|park|retrieve|ringback|transfer|label|extend|stats|history|report|export|forget|reload|status|version|help";

    fn run(handles: Option<Arc<CommandContext>>, line: &str) -> CommandOutput {
        CommandOutput(match handles {
            Some(handles) => answer(&handles, line),
            None => "-ERR mod_callpark is not loaded\n".into(),
        })
    }
}

pub(crate) fn add<W: StateLookup<CommandContext>>(interfaces: &mut Interfaces<'_>) -> bool {
    add_command::<Callpark, W>(interfaces)
}

/// Registers the tab completion of all verbs.
pub(crate) fn completions<W: StateLookup<ParkingService>>() -> Completions {
    let mut completions = Completions::new("callpark");
    completions.add_completer::<completion::SlotCompleter, W>();
    completions.add_completer::<completion::LotCompleter, W>();
    completions.add_completer::<completion::VerbCompleter, W>();
    for verb in VERBS {
        completions.add_line(verb.name);
        for words in verb.completes {
            completions.add_line(&format!("{} {words}", verb.name));
        }
    }
    completions
}

fn answer(handles: &CommandContext, line: &str) -> String {
    let words = match Arguments::split(line) {
        Ok(words) => words,
        Err(error) => return error.answer(""),
    };
    let (name, words) = words.first();
    let Some(verb) = VERBS.iter().find(|verb| name == Some(verb.name)) else {
        let names: Vec<&str> = VERBS.iter().map(|verb| verb.name).collect();
        return format!("-USAGE: callpark {}\n", names.join("|"));
    };
    (verb.run)(handles, words).unwrap_or_else(|error| error.answer(&usage(verb)))
}

fn usage(verb: &Verb) -> String {
    format!("callpark {} {}", verb.name, verb.syntax).trim_end().to_owned()
}

fn help(_: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    match words.rest() {
        [] => Ok(VERBS.iter().map(help_line).collect()),
        [name] => VERBS.iter().find(|verb| verb.name == *name).map(help_line).ok_or(CommandError::Usage),
        _ => Err(CommandError::Usage),
    }
}

fn help_line(verb: &Verb) -> String {
    format!("{:<58} {}\n", usage(verb), without_markup(verb.does))
}

fn without_markup(does: &str) -> String {
    without_links(does).replace('`', "")
}

/// The rows of the manual: name, syntax, what it does, what it answers. They are a constant without the functions, which need FreeSWITCH.
#[cfg(test)]
pub(crate) const MANUAL: [[&str; 4]; VERBS.len()] = {
    let mut rows = [[""; 4]; VERBS.len()];
    let mut n = 0;
    while n < rows.len() {
        let Verb { name, syntax, does, answers, .. } = VERBS[n];
        rows[n] = [name, syntax, does, answers];
        n += 1;
    }
    rows
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_no_markup() {
        for [name, _, does, _] in MANUAL {
            let text = without_markup(does);
            assert!(!text.contains(['`', '[', ']']), "{name}: {text}");
        }
        assert_eq!(without_markup("Erases `it`; see [privacy](privacy.md)."), "Erases it; see privacy.");
    }
}
