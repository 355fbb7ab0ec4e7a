//! The command `valet_info`: the parked calls as mod_valet_parking lists them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt::Write;
use std::sync::Arc;

use super::Valet;
use crate::freeswitch::{Command, CommandOutput};
use crate::parking::Call;
use crate::service::for_xml;

pub(super) struct ValetInfo;

impl Command for ValetInfo {
    type Context = Valet;
    const NAME: &'static CStr = c"valet_info";
    const DESCRIPTION: &'static CStr = c"Parked calls, as mod_valet_parking lists them";
    const SYNTAX: &'static CStr = c"[<lot>]";

    fn run(valet: Option<Arc<Valet>>, lot: &str) -> CommandOutput {
        CommandOutput(listing(&valet.map(|valet| lots(&valet)).unwrap_or_default(), lot))
    }
}

/// The calls of each lot, by the name of the lot. A lot that was named once is listed also when it is empty.
type Lots = BTreeMap<String, Vec<Call>>;

fn lots(valet: &Valet) -> Lots {
    let mut lots: Lots = valet.lots.all().into_iter().map(|name| (name, Vec::new())).collect();
    let calls = valet.service.calls(None).unwrap_or_default();
    for call in calls.into_iter().filter(|call| !call.waits_for_slot()) {
        lots.entry(valet.lots.of(&call.info.lot)).or_default().push(call);
    }
    lots
}

/// Writes the lots, or the one of this name.
fn listing(lots: &Lots, wanted: &str) -> String {
    let mut xml = "<lots>\n".to_owned();
    for (name, calls) in lots.iter().filter(|(name, _)| wanted.is_empty() || wanted.eq_ignore_ascii_case(name)) {
        let _ = writeln!(xml, "  <lot name=\"{}\">", for_xml(name));
        for info in calls.iter().map(|call| &call.info) {
            let _ = writeln!(xml, "    <extension uuid=\"{}\">{}</extension>", for_xml(&info.uuid), info.slot);
        }
        xml.push_str("  </lot>\n");
    }
    xml + "</lots>\n"
}
