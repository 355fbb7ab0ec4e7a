//! What the doctor has to say: findings, each with the lines that fix it.

use std::fmt;
use std::path::PathBuf;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something that the module needs is not there.
    Missing,
    /// Something disturbs the module.
    Conflict,
    /// Something is there and does not work.
    Fault,
    /// An advice, which leaves the installation complete.
    Note,
}

/// One change that fixes a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    Add { file: PathBuf, inside: String, line: String },
    Replace { file: PathBuf, number: usize, old: String, new: String },
    Remove { file: PathBuf, number: usize, line: String },
    Run(String),
    Do(String),
}

/// One thing that is missing, in conflict or at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) what: String,
    pub(crate) fixes: Vec<Fix>,
}

impl Finding {
    pub(crate) fn new(kind: Kind, what: impl Into<String>, fixes: impl IntoIterator<Item = Fix>) -> Finding {
        Finding { kind, what: what.into(), fixes: fixes.into_iter().collect() }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Missing => "missing",
            Kind::Conflict => "conflict",
            Kind::Fault => "fault",
            Kind::Note => "note",
        })
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fix::Add { file, inside, line } => write!(f, "  in {}, add to {inside}:\n      {line}", file.display()),
            Fix::Replace { file, number, old, new } => {
                write!(f, "  in {}, line {number}, replace\n      {old}\n  by\n      {new}", file.display())
            }
            Fix::Remove { file, number, line } => {
                write!(f, "  in {}, line {number}, remove:\n      {line}", file.display())
            }
            Fix::Run(command) => write!(f, "  run:\n      {command}"),
            Fix::Do(text) => write!(f, "  {text}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)?;
        self.fixes.iter().try_for_each(|fix| write!(f, "\n{fix}"))
    }
}
