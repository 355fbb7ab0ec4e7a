//! Runs the applications of the module, and those of FreeSWITCH that scenarios need.

use std::time::Duration;

use crate::cause::Cause;
use crate::core::{Core, me};
use crate::ffi;
use crate::leg::LegId;
use crate::text::to_c;

/// An application, which runs on its leg's own thread with the data of the dialplan.
type Run = fn(&Core, LegId, &str);

const OWN: &[(&str, Run)] = &[
    ("answer", |core, id, _| {
        core.answer(id);
    }),
    ("playback", |core, id, file| {
        core.play_file(id, file, std::ptr::null_mut());
    }),
    ("phrase", |core, id, data| {
        let (name, data) = data.split_once(',').unwrap_or((data, ""));
        core.say(id, name, data, std::ptr::null_mut());
    }),
    ("sleep", |core, id, ms| {
        core.sleep(id, Duration::from_millis(ms.trim().parse().unwrap_or(0)), std::ptr::null_mut());
    }),
    ("hangup", |core, id, cause| {
        core.hang_up(id, Cause::named(cause).unwrap_or(Cause::NORMAL_CLEARING));
    }),
    ("transfer", |core, id, data| {
        let mut words = data.split_whitespace();
        let extension = words.next().unwrap_or("service").to_owned();
        core.transfer(id, &extension, words.next(), words.next());
    }),
    ("set", |core, id, data| {
        let (name, value) = data.split_once('=').unwrap_or((data, ""));
        core.leg(id, |leg| leg.set_variable(name, Some(value)));
    }),
    ("unset", |core, id, name| core.leg(id, |leg| leg.set_variable(name, None))),
    ("park", |core, id, _| {
        while core.leg(id, |leg| leg.is_ready()) {
            core.wait(None, "parked by FreeSWITCH");
        }
    }),
    ("bridge", bridge),
];

/// Originates a call and bridges it with this leg.
fn bridge(core: &Core, id: LegId, to: &str) {
    let call = core.bridging_call(id, to);
    match core.originate(&call) {
        Ok(peer) => {
            core.bridge(id, peer);
            core.unlock(peer);
        }
        Err(cause) => {
            core.leg(id, |leg| leg.set_variable("originate_disposition", Some(cause.name())));
            if !core.leg(id, |leg| leg.is_true("continue_on_fail")) {
                core.hang_up(id, cause);
            }
        }
    }
}

pub(crate) fn own(name: &str) -> Option<Run> {
    OWN.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}

pub(crate) fn own_names() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|(name, _)| *name)
}

impl Core {
    /// Runs an application on its leg's thread. Returns false if the extension must not continue.
    pub(crate) fn run_application(&self, id: LegId, name: &str, data: &str) -> bool {
        if self.leg(id, |leg| leg.is_down()) {
            return true;
        }
        let data = self.expand(id, data);
        let before = self.leg(id, |leg| leg.application.replace(name.to_owned()));
        let known = match own(name) {
            Some(run) => {
                run(self, id, &data);
                true
            }
            None => self.run_module_application(id, name, &data),
        };
        self.leg(id, |leg| leg.application = before);
        if !known {
            self.hang_up(id, Cause::DESTINATION_OUT_OF_ORDER);
        }
        known
    }

    fn run_module_application(&self, id: LegId, name: &str, data: &str) -> bool {
        let Some(interface) = self.hold_application(name) else { return false };
        // SAFETY: it is held, so neither it nor its module is freed meanwhile.
        let (function, flags) = unsafe { ((*interface).application_function, (*interface).flags) };
        let no_media = flags & ffi::switch_application_flag_enum_t::SAF_SUPPORT_NOMEDIA.0 != 0;
        self.leg(id, |leg| {
            if !no_media {
                leg.bypassed = false;
                leg.early_media |= !leg.outbound && !leg.answered;
            }
        });
        let (session, data) = (self.leg(id, |leg| leg.session.as_ptr()), to_c(data));
        let hooks = self.leg(id, |leg| leg.hooks.len());
        if let Some(run) = function {
            // SAFETY: the module's application, called as it was registered, on the leg's own thread.
            unsafe { run(session, data.as_ptr()) };
        }
        self.let_go_of_application(interface);
        if self.leg(id, |leg| leg.hooks.len()) != hooks {
            self.misuse(format!("{name} returned and left a message hook on its leg"));
        }
        function.is_some()
    }

    /// Reports a misuse if the calling thread is not the leg's own: only that one may use the leg's media.
    pub(crate) fn check_thread(&self, id: LegId, doing: &str) {
        let (task, uuid) = self.leg(id, |leg| (leg.task, leg.uuid.clone()));
        if task != Some(me()) {
            self.misuse(format!("{doing} the leg {uuid} on another thread than its own"));
        }
    }
}
