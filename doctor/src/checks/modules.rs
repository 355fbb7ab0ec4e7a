//! Whether FreeSWITCH loads the module, and no module that answers for the same calls.

use super::Facts;
use crate::configuration::Server;
use crate::files::Files;
use crate::finding::{Finding, Fix, Kind};

const LISTS: [&str; 3] = ["pre_load_modules.conf", "modules.conf", "post_load_modules.conf"];

const NOT_LISTED: &str = "FreeSWITCH does not load mod_callpark at its start";
const VALET_PARKING_LISTED: &str =
    "FreeSWITCH loads mod_valet_parking at its start, which answers for lamps and commands of mod_callpark";

fn load_line(module: &str) -> String {
    format!(r#"<load module="{module}"/>"#)
}

/// Has FreeSWITCH load a module at each start.
pub(super) fn add_to_list(files: &Files, list: &str, module: &str) -> Fix {
    Fix::Add { file: files.autoload(list), inside: "<modules>".into(), line: load_line(module) }
}

/// The modules that are loaded at the start.
pub(super) fn listed(facts: &Facts) -> Vec<Finding> {
    let files = &facts.files;
    let is_listed = |module: &str| facts.configuration.modules.iter().any(|listed| listed == module);
    let valet_parking = LISTS.iter().find_map(|list| {
        let file = files.autoload(list);
        files.line(&file, &["<load ", "\"mod_valet_parking\""]).map(|line| (file, line))
    });
    if facts.configuration.server == Some(Server::FusionPbx) || files.are_of_fusionpbx() {
        return listed_by_fusionpbx(is_listed("mod_callpark"), is_listed("mod_valet_parking"));
    }
    let added = || add_to_list(files, "modules.conf", "mod_callpark");
    let (missing, conflict) = ((Kind::Missing, NOT_LISTED), (Kind::Conflict, VALET_PARKING_LISTED));
    let ((kind, what), fix) = match (is_listed("mod_callpark"), is_listed("mod_valet_parking"), valet_parking) {
        (true, false, _) => return Vec::new(),
        (false, false, _) => (missing, added()),
        (false, true, Some((file, line))) => {
            (missing, Fix::Replace { file, number: line.number, old: line.text, new: load_line("mod_callpark") })
        }
        (true, true, Some((file, line))) => (conflict, Fix::Remove { file, number: line.number, line: line.text }),
        (false, true, None) => (missing, added()),
        (true, true, None) => (conflict, Fix::Do("remove mod_valet_parking from modules.conf.xml".into())),
    };
    vec![Finding::new(kind, what, [fix])]
}

/// FusionPBX keeps the modules in its database, and a page of it writes modules.conf.xml: lines that a person writes there are lost.
fn listed_by_fusionpbx(callpark: bool, valet_parking: bool) -> Vec<Finding> {
    let (kind, what) = match (callpark, valet_parking) {
        (true, false) => return Vec::new(),
        (true, true) => (Kind::Conflict, VALET_PARKING_LISTED),
        (false, _) => (Kind::Missing, NOT_LISTED),
    };
    let disable = valet_parking.then_some("disable Valet Parking");
    let enable = (!callpark).then_some("enable Callpark");
    let todo: Vec<&str> = disable.into_iter().chain(enable).collect();
    let fix =
        format!("in FusionPBX, under Advanced, Modules, {}; that page writes modules.conf.xml", todo.join(" and "));
    vec![Finding::new(kind, what, [Fix::Do(fix)])]
}

/// The modules that are loaded now.
pub(super) fn loaded(facts: &Facts) -> Vec<Finding> {
    let Some(running) = &facts.running else { return Vec::new() };
    let mut found = Vec::new();
    if !running.loads_module {
        let load = [facts.command("reloadxml"), facts.command("load mod_callpark")];
        found.push(Finding::new(Kind::Missing, "mod_callpark is not loaded", load));
    }
    if running.loads_valet_parking {
        let restart = "restart FreeSWITCH at a quiet time, because mod_valet_parking cannot be unloaded";
        found.push(Finding::new(Kind::Conflict, "mod_valet_parking is loaded", [Fix::Do(restart.into())]));
    }
    found
}

/// The file of the module is newer than what FreeSWITCH has in memory. `reload` does not help: the system returns what it has in memory.
pub(super) fn replaced(facts: &Facts) -> Vec<Finding> {
    let file = facts.running.as_ref().and_then(|running| running.status("module file"));
    let is_replaced = file.is_some_and(|state| state.starts_with("has been replaced"));
    let finding = || {
        let what = "mod_callpark has been replaced, and FreeSWITCH goes on with the version that it has loaded";
        Finding::new(Kind::Fault, what, [facts.command("fsctl shutdown restart elegant")])
    };
    is_replaced.then(finding).into_iter().collect()
}
