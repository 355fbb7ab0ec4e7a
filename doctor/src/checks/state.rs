//! The module's own configuration, its token file and its database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Facts;
use super::modules::add_to_list;
use crate::finding::{Finding, Fix, Kind};

/// callpark.conf.xml is there, and the module has accepted it.
pub(super) fn configuration(facts: &Facts) -> Vec<Finding> {
    let file = facts.files.autoload("callpark.conf");
    if facts.configuration.callpark.is_none() {
        let what = "FreeSWITCH has no configuration callpark.conf";
        let fix = Fix::Do(format!("copy conf/autoload_configs/callpark.conf.xml to {}", file.display()));
        return vec![Finding::new(Kind::Missing, what, [fix])];
    }
    let refused = facts.running.as_ref().and_then(|running| running.status("configuration"));
    let Some(refused) = refused.filter(|state| !state.starts_with("as in")) else { return Vec::new() };
    let errors = facts.running.iter().flat_map(|running| running.status.lines());
    let errors = errors.skip_while(|line| !line.starts_with("configuration")).skip(1).map(str::trim);
    let errors: String = errors.map(|error| format!("\n      {error}")).collect();
    let fixes = [Fix::Do(format!("correct {}:{errors}", file.display())), facts.command("callpark reload")];
    vec![Finding::new(Kind::Fault, refused, fixes)]
}

/// The token file of the dashboard can be read by FreeSWITCH alone.
pub(super) fn token_file(facts: &Facts) -> Vec<Finding> {
    let name = facts.configuration.callpark.as_ref().map(|callpark| callpark.token_file.as_str()).unwrap_or_default();
    if name.is_empty() {
        return dashboard(facts);
    }
    let path = Path::new(name);
    match path.metadata().map(|file| file.permissions().mode()) {
        Ok(mode) if mode & 0o077 != 0 => {
            let what = format!("others can read the token file {name}: its mode is {:03o}", mode & 0o777);
            vec![Finding::new(Kind::Fault, what, [Fix::Run(format!("chmod 600 {name}"))])]
        }
        Ok(_) => dashboard(facts),
        Err(cause) => {
            let what = format!("the token file {name} cannot be read: {cause}");
            let user = facts.files.owner().unwrap_or_else(|| "freeswitch".into());
            let make = format!("install -m 600 -o {user} /dev/null {name}");
            vec![Finding::new(
                Kind::Fault,
                what,
                [Fix::Run(make), Fix::Do("then write tokens into it, as docs/dashboard.md describes".into())],
            )]
        }
    }
}

/// The dashboard runs, if it is configured.
fn dashboard(facts: &Facts) -> Vec<Finding> {
    let state = facts.running.as_ref().and_then(|running| running.status("dashboard"));
    let fault = state.filter(|state| state.starts_with("does not run"));
    let fix = || {
        Fix::Do(format!(
            "correct http-listen or http-token-file in {}",
            facts.files.autoload("callpark.conf").display()
        ))
    };
    fault.map(|state| Finding::new(Kind::Fault, format!("the dashboard {state}"), [fix()])).into_iter().collect()
}

/// The database answers.
pub(super) fn database(facts: &Facts) -> Vec<Finding> {
    let configuration = &facts.configuration;
    let dsn = configuration.callpark.as_ref().map(|callpark| callpark.db_dsn.as_str()).unwrap_or_default();
    let needs_pgsql = ["pgsql://", "postgres://", "postgresql://"].iter().any(|scheme| dsn.starts_with(scheme));
    if needs_pgsql && !configuration.modules.iter().any(|module| module == "mod_pgsql") {
        let what = "db-dsn names PostgreSQL, and FreeSWITCH does not load mod_pgsql at its start";
        return vec![Finding::new(
            Kind::Missing,
            what,
            [add_to_list(&facts.files, "pre_load_modules.conf", "mod_pgsql")],
        )];
    }
    let Some(running) = facts.running.as_ref().filter(|running| running.loads_module) else { return Vec::new() };
    if needs_pgsql && !running.loads_pgsql {
        return vec![Finding::new(Kind::Fault, "mod_pgsql is not loaded", [facts.command("load mod_pgsql")])];
    }
    if running.status("slot store") == Some("answers") {
        return Vec::new();
    }
    let fix = if dsn.is_empty() {
        Fix::Do(
            "make the folder of FreeSWITCH's databases writable for FreeSWITCH (fs_cli -x 'global_getvar db_dir')"
                .into(),
        )
    } else {
        Fix::Do(format!(
            "repair the database, or correct db-dsn in {}",
            facts.files.autoload("callpark.conf").display()
        ))
    };
    let what = "the database cannot be written, so occupied slots and the history are not saved; FreeSWITCH's log has the reason";
    vec![Finding::new(Kind::Fault, what, [fix])]
}
