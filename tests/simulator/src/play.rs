//! Plays audio to legs in virtual time.

use std::collections::{HashMap, HashSet};
use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use crate::core::{Core, enter, micros};
use crate::ffi::{self, switch_status_t as Status};
use crate::kernel::Micros;
use crate::leg::{LegId, Session, Sound, status};
use crate::text::from_c;

/// The default length of files.
const ORDINARY: Duration = Duration::from_secs(2);

/// The time after which the first packet of a sound is played.
const FIRST_PACKET: Duration = Duration::from_millis(20);

/// The known sounds and their lengths.
#[derive(Default)]
pub(crate) struct Sounds {
    pub(crate) missing: HashSet<String>,
    pub(crate) lengths: HashMap<String, Duration>,
}

impl Sounds {
    /// The length of a file: `Err` if it does not exist, and `None` if it never ends.
    fn length(&self, file: &str) -> Result<Option<Duration>, ()> {
        if self.missing.contains(file) {
            return Err(());
        }
        if let Some(length) = self.lengths.get(file) {
            return Ok(Some(*length));
        }
        match file.split_once("://") {
            Some(("local_stream", _)) => Ok(None),
            Some(("tone_stream", tones)) => Ok((!tones.contains("loops=-1")).then_some(ORDINARY)),
            Some(("silence_stream", length)) => {
                let ms: i64 = length.split(',').next().and_then(|ms| ms.parse().ok()).ok_or(())?;
                Ok(u64::try_from(ms).ok().map(Duration::from_millis))
            }
            Some(("file" | "http" | "https", _)) | None => Ok(Some(ORDINARY)),
            // There is no module for this kind of file.
            Some(_) => Err(()),
        }
    }
}

/// The callbacks of a playback: `switch_input_args_t`, which lives through the call.
type Args = *mut ffi::switch_input_args_t;

impl Core {
    pub(crate) fn play_file(&self, id: LegId, file: &str, args: Args) -> Status {
        self.pre_answer(id);
        if file.is_empty() || !self.leg(id, |leg| leg.media_ready()) {
            return Status::SWITCH_STATUS_FALSE;
        }
        if let Some(phrase) = file.strip_prefix("phrase:") {
            let (name, data) = phrase.split_once(':').unwrap_or((phrase, ""));
            return self.say(id, name, data, args);
        }
        // In FreeSWITCH the loop over the files is not entered then.
        if !self.leg(id, |leg| leg.is_ready()) {
            return Status::SWITCH_STATUS_SUCCESS;
        }
        let length = self.state().sounds.length(file);
        match length {
            Err(()) => NOT_FOUND,
            Ok(length) => self.sound(id, Sound::Playing(file.to_owned()), length, args),
        }
    }

    pub(crate) fn say(&self, id: LegId, name: &str, data: &str, args: Args) -> Status {
        self.pre_answer(id);
        if !self.leg(id, |leg| leg.media_ready()) {
            return Status::SWITCH_STATUS_FALSE;
        }
        let length = {
            let sounds = &self.state().sounds;
            let known = !sounds.missing.contains(name);
            known.then(|| sounds.lengths.get(name).copied().unwrap_or(ORDINARY))
        };
        match length {
            None => Status::SWITCH_STATUS_GENERR,
            Some(length) => self.sound(id, Sound::Phrase(name.to_owned(), data.to_owned()), Some(length), args),
        }
    }

    pub(crate) fn sleep(&self, id: LegId, time: Duration, args: Args) -> Status {
        if time.is_zero() {
            return Status::SWITCH_STATUS_SUCCESS;
        }
        let quiet = self.leg(id, |leg| if leg.media_ready() { Sound::Silence } else { Sound::Ringing });
        self.sound(id, quiet, Some(time), args)
    }

    /// Plays to a leg. A leg that is not answered gets the sound as early media.
    fn pre_answer(&self, id: LegId) {
        self.leg(id, |leg| leg.early_media |= !leg.outbound && !leg.answered && !leg.is_down());
    }

    fn sound(&self, id: LegId, sound: Sound, length: Option<Duration>, args: Args) -> Status {
        self.hear(id, sound);
        let status = self.sound_out(id, length.map(|length| self.kernel.now() + micros(length)), args);
        self.hear_nothing(id);
        status
    }

    /// Plays until `end`, until the leg is transferred or hung up, or until a callback stops it. Digits, hangup and transfer are noticed at once,
    /// whereas FreeSWITCH notices them with the next packet.
    fn sound_out(&self, id: LegId, end: Option<Micros>, args: Args) -> Status {
        // SAFETY: NULL, or the module's, which waits for this call.
        let args = unsafe { args.as_ref() };
        let asked = args.and_then(|args| Some((args, args.read_frame_callback?)));
        let session = self.leg(id, |leg| leg.session.as_ptr());
        let frame = self.state().frame;
        // The first frame comes with the first packet.
        let mut next = asked.map(|_| self.kernel.now() + frame.min(micros(FIRST_PACKET)));
        loop {
            if !self.leg(id, |leg| leg.is_ready()) {
                // When the far end has hung up, FreeSWITCH's read fails, and the playback ends without an error.
                return status(self.leg(id, |leg| leg.is_down()));
            }
            if let Some((args, key)) = args.and_then(|args| Some((args, self.key(id)?))) {
                let status = press(session, args, key);
                if status != Status::SWITCH_STATUS_SUCCESS {
                    return status;
                }
                continue;
            }
            let now = self.kernel.now();
            if let (Some((args, ask)), Some(due)) = (asked, next.filter(|due| now >= *due)) {
                next = Some(due + frame);
                // SAFETY: the module's function, called as it was passed; it does not read the frame.
                let status = unsafe { ask(session, ptr::null_mut(), args.user_data) };
                if status != Status::SWITCH_STATUS_SUCCESS {
                    return status;
                }
                continue;
            }
            if end.is_some_and(|end| now >= end) {
                return Status::SWITCH_STATUS_SUCCESS;
            }
            self.wait([next, end].into_iter().flatten().min(), "plays to its leg");
        }
    }

    /// Takes the next DTMF digit.
    fn key(&self, id: LegId) -> Option<char> {
        self.leg(id, |leg| leg.keys.pop_front())
    }
}

/// FreeSWITCH's status for a missing file. The module has no special case for it.
const NOT_FOUND: Status = Status(14);

fn press(session: *mut ffi::switch_core_session_t, args: &ffi::switch_input_args_t, key: char) -> Status {
    let mut dtmf = ffi::switch_dtmf_t { digit: key as u8 as c_char, duration: 2000, ..Default::default() };
    match args.input_callback {
        None => Status::SWITCH_STATUS_BREAK,
        // SAFETY: the module's function, called as it was passed; the digit lives through the call.
        Some(input) => unsafe {
            let key = ptr::from_mut(&mut dtmf).cast::<c_void>();
            input(session, key, ffi::switch_input_type_t::SWITCH_INPUT_TYPE_DTMF, args.buf, args.buflen)
        },
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_play_file(
    session: *mut ffi::switch_core_session_t,
    _handle: *mut ffi::switch_file_handle_t,
    file: *const c_char,
    args: Args,
) -> Status {
    let call = enter("switch_ivr_play_file");
    // SAFETY: the module's handles are sessions of the simulator; a C string that lives through the call.
    let (session, file) = unsafe { (Session::of(session, &call), from_c(file)) };
    call.core.check_thread(session.id, "plays a file to");
    if call.fails {
        return Status::SWITCH_STATUS_GENERR;
    }
    call.core.play_file(session.id, &file.unwrap_or_default(), args)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_phrase_macro_event(
    session: *mut ffi::switch_core_session_t,
    name: *const c_char,
    data: *const c_char,
    _event: *mut ffi::switch_event_t,
    _language: *const c_char,
    args: Args,
) -> Status {
    let call = enter("switch_ivr_phrase_macro_event");
    // SAFETY: as above.
    let (session, name, data) = unsafe { (Session::of(session, &call), from_c(name), from_c(data)) };
    call.core.check_thread(session.id, "says a phrase to");
    if call.fails {
        return Status::SWITCH_STATUS_GENERR;
    }
    call.core.say(session.id, &name.unwrap_or_default(), &data.unwrap_or_default(), args)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_sleep(
    session: *mut ffi::switch_core_session_t,
    ms: u32,
    _sync: ffi::switch_bool_t,
    args: Args,
) -> Status {
    let call = enter("switch_ivr_sleep");
    // SAFETY: as above.
    let session = unsafe { Session::of(session, &call) };
    call.core.check_thread(session.id, "sleeps on");
    call.core.sleep(session.id, Duration::from_millis(ms.into()), args)
}
