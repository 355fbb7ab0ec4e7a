//! callpark-doctor: names what an installation of mod_callpark lacks, with the line that fixes it.
//!
//! It asks a running FreeSWITCH, by fs_cli, or reads the files of one that does not run. The checks are the same, so `make install` ends with the
//! lines that remain, and `make doctor` reports them later.

mod checks;
mod configuration;
mod files;
mod finding;
mod fs_cli;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use checks::Facts;
use configuration::Configuration;
use files::Files;
use finding::Kind;
use fs_cli::{FsCli, FsCliError, Running};

const USAGE: &str = "usage: callpark-doctor [--fs-cli <command>]   asks the running FreeSWITCH
       callpark-doctor --files <folder>         looks at a configuration, with freeswitch.xml in this folder
Exit status: 0 if all is well, 1 if something is missing, in conflict or at fault, 2 if it cannot be told.";

#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error("{0}\n{USAGE}")]
    Usage(#[from] lexopt::Error),
    #[error(transparent)]
    FsCli(#[from] FsCliError),
    #[error("cannot read {file}: {cause}")]
    Read { file: PathBuf, cause: std::io::Error },
    #[error("FreeSWITCH's configuration is no XML: {0}")]
    Xml(#[from] roxmltree::Error),
}

enum Source {
    Running(FsCli),
    Files(PathBuf),
    Help,
}

fn main() -> ExitCode {
    let facts = match arguments() {
        Ok(Source::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Source::Running(fs_cli)) => ask(&fs_cli),
        Ok(Source::Files(conf)) => read(&conf),
        Err(error) => Err(error),
    };
    let findings = match facts {
        Ok(facts) => checks::all(&facts),
        Err(error) => {
            eprintln!("callpark-doctor: {error}");
            return ExitCode::from(2);
        }
    };
    for finding in &findings {
        println!("{finding}");
    }
    match findings.iter().filter(|finding| finding.kind != Kind::Note).count() {
        0 => {
            println!("nothing is missing, in conflict or at fault");
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(1),
    }
}

fn arguments() -> Result<Source, DoctorError> {
    use lexopt::prelude::{Long, Short, ValueExt};
    let mut source = Source::Running(FsCli::found());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        source = match argument {
            Long("fs-cli") => Source::Running(arguments.value()?.parse_with(FsCli::new)?),
            Long("files") => Source::Files(arguments.value()?.into()),
            Long("help") | Short('h') => Source::Help,
            other => return Err(other.unexpected().into()),
        };
    }
    Ok(source)
}

/// Collects the facts from a running FreeSWITCH, whose XML document has everything in place. A program such as FusionPBX may serve the SIP profiles.
fn ask(fs_cli: &FsCli) -> Result<Facts, DoctorError> {
    let document = fs_cli.api("xml_locate root")?;
    let sofia = fs_cli.api("xml_locate configuration configuration name sofia.conf")?;
    let sofia = Some(sofia.as_str()).filter(|sofia| sofia.starts_with('<'));
    let configuration = Configuration::parse(&document, sofia)?;
    let profiles = configuration.profiles.iter().map(|profile| profile.name.clone());
    let running = Running::ask(fs_cli, profiles)?;
    let files = Files { conf: fs_cli.global("conf_dir")?.into() };
    let default_language = fs_cli.global("default_language")?;
    Ok(Facts { configuration, files, default_language, running: Some(running) })
}

/// Collects the facts from the files of a configuration.
fn read(conf: &Path) -> Result<Facts, DoctorError> {
    let read = |cause| DoctorError::Read { file: conf.join("freeswitch.xml"), cause };
    let (document, mut variables) = files::document(conf).map_err(read)?;
    let configuration = Configuration::parse(&document, None)?;
    let default_language = variables.remove("default_language").unwrap_or_default();
    Ok(Facts { configuration, files: Files { conf: conf.to_owned() }, default_language, running: None })
}
