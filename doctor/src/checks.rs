//! The checks: each looks at one thing that the module needs, and names what is missing, in conflict or at fault.

mod dialplan;
mod languages;
mod lots;
mod modules;
mod profiles;
mod sounds;
mod state;

use crate::configuration::{Configuration, Profile, Server};
use crate::files::Files;
use crate::finding::{Finding, Fix};
use crate::fs_cli::Running;

/// All that the checks look at.
pub(crate) struct Facts {
    pub(crate) configuration: Configuration,
    pub(crate) files: Files,
    /// The default language of FreeSWITCH; empty if none is set.
    pub(crate) default_language: String,
    /// What the running FreeSWITCH says; None if only files are looked at.
    pub(crate) running: Option<Running>,
}

impl Facts {
    /// Has the operator set a parameter of a SIP profile where it is kept; None if that is a file.
    fn set_in_server(&self, profile: &str, name: &str, value: &str) -> Option<Fix> {
        let place = match self.configuration.server? {
            Server::FusionPbx => format!("in FusionPBX, under Advanced, SIP Profiles, {profile}"),
            Server::Other => format!("in the program that serves the SIP profile {profile}"),
        };
        Some(Fix::Do(format!("{place}, set {name} to {value}")))
    }

    /// The SIP profiles that count: those that run, or all of them if only files are looked at. The stock configuration has profiles for IPv6,
    /// which do not run on a computer without it.
    fn profiles(&self) -> impl Iterator<Item = &Profile> {
        let counts = |profile: &&Profile| self.running.as_ref().is_none_or(|running| running.runs(&profile.name));
        self.configuration.profiles.iter().filter(counts)
    }

    /// Has the operator give a command to FreeSWITCH.
    fn command(&self, command: &str) -> Fix {
        let fs_cli = self.running.as_ref().map_or("fs_cli", |running| &running.fs_cli);
        Fix::Run(format!("{fs_cli} -x '{command}'"))
    }
}

const CHECKS: &[fn(&Facts) -> Vec<Finding>] = &[
    modules::listed,
    modules::loaded,
    modules::replaced,
    profiles::running,
    dialplan::numbers,
    dialplan::feature_code,
    dialplan::users,
    profiles::presence_map,
    profiles::track_calls,
    languages::phrases,
    state::configuration,
    state::token_file,
    state::database,
    sounds::installed,
    lots::park_extension,
    lots::fallback,
];

pub(crate) fn all(facts: &Facts) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(facts)).collect()
}
