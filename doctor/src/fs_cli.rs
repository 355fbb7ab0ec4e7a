//! A running FreeSWITCH, by its command line fs_cli.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Why FreeSWITCH did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FsCliError {
    #[error("cannot run {program}: {cause}")]
    CannotRun { program: String, cause: std::io::Error },
    #[error("{command} does not reach FreeSWITCH: {answer}")]
    NotConnected { command: String, answer: String },
    #[error("{command} got no answer within {MAX_SECONDS} s: FreeSWITCH runs, but does not respond")]
    NoAnswer { command: String },
    #[error("cannot read the command {command:?}: expected words as for a shell, with each quote closed")]
    Unquoted { command: String },
}

/// How long FreeSWITCH may take to answer.
const MAX_SECONDS: u32 = 10;
/// With this, `timeout` of GNU coreutils reports that the time was over, and that there is no such program.
const TIME_WAS_OVER: i32 = 124;
const NO_SUCH_PROGRAM: i32 = 127;

/// The command fs_cli, with its arguments.
pub(crate) struct FsCli {
    words: Vec<String>,
}

impl FsCli {
    /// `command`: the program and its arguments, quoted as for a shell.
    pub(crate) fn new(command: &str) -> Result<FsCli, FsCliError> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        words.map(|words| FsCli { words }).ok_or_else(|| FsCliError::Unquoted { command: command.to_owned() })
    }

    /// The fs_cli that is installed beside this program, as in a FreeSWITCH that was built from source; otherwise that of PATH.
    pub(crate) fn found() -> FsCli {
        let doctor = std::env::current_exe().unwrap_or_default();
        let beside = doctor.parent().map(|bin| bin.join("fs_cli")).filter(|program| program.is_file());
        let program = beside.as_deref().unwrap_or(Path::new("fs_cli"));
        FsCli { words: vec![program.display().to_string()] }
    }

    /// Has FreeSWITCH carry out a command, and returns its answer.
    pub(crate) fn api(&self, command: &str) -> Result<String, FsCliError> {
        let program = || self.words.first().cloned().unwrap_or_default();
        // fs_cli has a time limit for the command, but not for a FreeSWITCH that accepts the connection and says nothing.
        let output =
            Command::new("timeout").arg(MAX_SECONDS.to_string()).args(&self.words).args(["-x", command]).output();
        let output = output.map_err(|cause| FsCliError::CannotRun { program: "timeout".to_owned(), cause })?;
        match output.status.code() {
            Some(TIME_WAS_OVER) => return Err(FsCliError::NoAnswer { command: self.words.join(" ") }),
            Some(NO_SUCH_PROGRAM) => {
                return Err(FsCliError::CannotRun { program: program(), cause: ErrorKind::NotFound.into() });
            }
            _ => {}
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let answer = text(&output.stdout);
        // fs_cli may report a failure on either stream, and exit with 0.
        if output.status.success() && !answer.starts_with("[ERROR]") {
            return Ok(answer);
        }
        let answer = if answer.is_empty() { text(&output.stderr) } else { answer };
        Err(FsCliError::NotConnected { command: self.words.join(" "), answer })
    }

    /// A global variable; empty if it is not set.
    pub(crate) fn global(&self, name: &str) -> Result<String, FsCliError> {
        let value = self.api(&format!("global_getvar {name}"))?;
        // fs_cli reports an empty answer like this.
        Ok(if value.starts_with("-ERR") { String::new() } else { value })
    }

    pub(crate) fn is_loaded(&self, module: &str) -> Result<bool, FsCliError> {
        Ok(self.api(&format!("module_exists {module}"))? == "true")
    }
}

/// What only a running FreeSWITCH knows.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// The command fs_cli that reaches it.
    pub(crate) fs_cli: String,
    pub(crate) loads_module: bool,
    pub(crate) loads_sofia: bool,
    pub(crate) loads_valet_parking: bool,
    pub(crate) loads_pgsql: bool,
    /// The answer to `callpark status`.
    pub(crate) status: String,
    /// The dialplan of each SIP profile that runs, by name, as the running profile has it.
    pub(crate) dialplans: Vec<(String, String)>,
    /// The folder of the sound files.
    pub(crate) sounds_dir: String,
    /// The users with a registered phone.
    pub(crate) registered: BTreeSet<String>,
}

impl Running {
    pub(crate) fn ask(fs_cli: &FsCli, profiles: impl Iterator<Item = String>) -> Result<Running, FsCliError> {
        let loads_module = fs_cli.is_loaded("mod_callpark")?;
        let mut dialplans = Vec::new();
        for profile in profiles {
            let status = fs_cli.api(&format!("sofia status profile {profile}"))?;
            if let Some(dialplan) = field(&status, "Dialplan") {
                dialplans.push((profile, dialplan.to_owned()));
            }
        }
        Ok(Running {
            fs_cli: fs_cli.words.join(" "),
            loads_module,
            loads_sofia: fs_cli.is_loaded("mod_sofia")?,
            loads_valet_parking: fs_cli.is_loaded("mod_valet_parking")?,
            loads_pgsql: fs_cli.is_loaded("mod_pgsql")?,
            status: if loads_module { fs_cli.api("callpark status")? } else { String::new() },
            dialplans,
            sounds_dir: fs_cli.global("sounds_dir")?,
            registered: registered(&fs_cli.api("show registrations")?),
        })
    }

    pub(crate) fn runs(&self, profile: &str) -> bool {
        self.dialplans.iter().any(|(name, _)| name == profile)
    }

    /// A line of `callpark status`.
    pub(crate) fn status(&self, name: &str) -> Option<&str> {
        field(&self.status, name)
    }
}

/// The first column of a table of comma-separated values, whose header names it.
fn registered(table: &str) -> BTreeSet<String> {
    let mut lines = table.lines();
    let is_table = lines.next().is_some_and(|header| header.starts_with("reg_user,"));
    let users = lines.filter_map(|line| line.split_once(',')).map(|(user, _)| user.to_owned());
    users.filter(|_| is_table).collect()
}

/// The value after a name at the start of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    values.find(|value| value.starts_with([' ', '\t'])).map(str::trim)
}
