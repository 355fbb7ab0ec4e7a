//! Plays files and phrases to a leg, and asks meanwhile whether to continue.

use std::ffi::{CStr, c_uint, c_void};
use std::ops::ControlFlow;
use std::ptr;

use super::guard::fence;
use super::log::{LogLevel, UUID, log_line};
use super::session::Leg;
use super::text::to_c;
use crate::ffi::{self, switch_status_t as HostStatus};

/// Decides whether what is played to a leg continues.
pub(crate) trait PlaybackControl {
    /// Is called for each frame, about fifty times a second.
    fn frame(&mut self) -> ControlFlow<()>;
    /// Handles a key that the far end has pressed.
    fn key(&mut self, key: char) -> ControlFlow<()>;
}

/// Lets everything play to its end.
pub(crate) struct PlayToEnd;

impl PlaybackControl for PlayToEnd {
    fn frame(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn key(&mut self, _: char) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The result of [`Leg::play_file`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PlayResult {
    /// It ended by itself.
    Finished,
    /// The control stopped it, or something else did, such as `uuid_break`.
    Stopped,
    /// It could not be played, or the leg was hung up or moved.
    Failed,
}

/// What a leg heard of a phrase. The core reports success also where a say module is missing, so its report does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PhraseResult {
    /// All of it, or the control stopped it.
    Said,
    /// A part, because a sound file is missing.
    Partly,
    Silent,
}

/// Notes whether anything is played, beside another control.
struct Audible<'a> {
    control: &'a mut dyn PlaybackControl,
    heard: bool,
}

impl PlaybackControl for Audible<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        self.heard = true;
        self.control.frame()
    }

    fn key(&mut self, key: char) -> ControlFlow<()> {
        self.control.key(key)
    }
}

impl Leg<'_> {
    /// Plays a file or stream to the leg until it ends, the leg is hung up or moved, or the control stops it. Returns false if
    /// it could not be played.
    pub(crate) fn play(&self, file: &str, control: &mut dyn PlaybackControl) -> bool {
        self.play_file(file, control) != PlayResult::Failed
    }

    /// As [`Leg::play`], and returns how it ended.
    pub(crate) fn play_file(&self, file: &str, control: &mut dyn PlaybackControl) -> PlayResult {
        let file = to_c(file);
        let mut control = control;
        let mut args = input_args(&mut control);
        // SAFETY: playing is synchronous: `args` and the control it points to outlive the call, which is what makes
        // a stack address sound here; the core keeps neither.
        let status = unsafe { ffi::switch_ivr_play_file(self.as_ptr(), ptr::null_mut(), file.as_ptr(), &mut args) };
        match status {
            HostStatus::SWITCH_STATUS_SUCCESS => PlayResult::Finished,
            HostStatus::SWITCH_STATUS_BREAK => PlayResult::Stopped,
            _ => PlayResult::Failed,
        }
    }

    /// Says a phrase macro, in the language of the leg (`default_language`) or in another.
    pub(crate) fn say(
        &self,
        phrase: &CStr,
        data: &str,
        language: Option<&str>,
        control: &mut dyn PlaybackControl,
    ) -> PhraseResult {
        log_line(
            LogLevel::Debug,
            &[(UUID, &self.uuid()), ("phrase", &phrase.to_string_lossy()), ("data", &data)],
            format_args!("says a phrase"),
        );
        // The core expands variables in it and in the text that a macro makes of it, and would run `${system(...)}` (switch_ivr_play_say.c).
        let data = to_c(&data.replace(['$', '\\'], " "));
        let language = language.map(to_c);
        let mut audible = Audible { control, heard: false };
        let mut control: &mut dyn PlaybackControl = &mut audible;
        let mut args = input_args(&mut control);
        // SAFETY: as in `play_file`; the texts live through the call.
        let status = unsafe {
            ffi::switch_ivr_phrase_macro_event(
                self.as_ptr(),
                phrase.as_ptr(),
                data.as_ptr(),
                ptr::null_mut(),
                language.as_ref().map_or(ptr::null(), |language| language.as_ptr()),
                &mut args,
            )
        };
        match status {
            HostStatus::SWITCH_STATUS_BREAK => PhraseResult::Said,
            HostStatus::SWITCH_STATUS_SUCCESS if audible.heard => PhraseResult::Said,
            _ if audible.heard => PhraseResult::Partly,
            _ => PhraseResult::Silent,
        }
    }
}

/// Makes the arguments by which the core calls a control. They point to the control on the stack, so they are only for calls that
/// return before it is dropped. The key callback is always given: without one the core stops at every key (`switch_ivr_play_say.c`).
fn input_args(control: &mut &mut dyn PlaybackControl) -> ffi::switch_input_args_t {
    let place = ptr::from_mut(control).cast::<c_void>();
    ffi::switch_input_args_t {
        input_callback: Some(on_input),
        buf: place,
        read_frame_callback: Some(on_frame),
        user_data: place,
        ..Default::default()
    }
}

/// # Safety
/// `place` is what [`input_args`] put there, of a call that has not come back.
unsafe fn call_control(
    name: &str,
    place: *mut c_void,
    call: impl FnOnce(&mut dyn PlaybackControl) -> ControlFlow<()>,
) -> HostStatus {
    let flow = fence(name, ControlFlow::Break(()), || {
        // SAFETY: by this function's contract.
        let control = unsafe { &mut *place.cast::<&mut dyn PlaybackControl>() };
        call(*control)
    });
    match flow {
        ControlFlow::Continue(()) => HostStatus::SWITCH_STATUS_SUCCESS,
        ControlFlow::Break(()) => HostStatus::SWITCH_STATUS_BREAK,
    }
}

unsafe extern "C" fn on_frame(
    _session: *mut ffi::switch_core_session_t,
    _frame: *mut ffi::switch_frame_t,
    user_data: *mut c_void,
) -> HostStatus {
    // SAFETY: the core calls this from within the very call that `input_args` was for.
    unsafe { call_control("listener frame", user_data, |control| control.frame()) }
}

unsafe extern "C" fn on_input(
    _session: *mut ffi::switch_core_session_t,
    input: *mut c_void,
    kind: ffi::switch_input_type_t,
    buf: *mut c_void,
    _length: c_uint,
) -> HostStatus {
    if kind != ffi::switch_input_type_t::SWITCH_INPUT_TYPE_DTMF {
        return HostStatus::SWITCH_STATUS_SUCCESS;
    }
    // SAFETY: with this kind the core hands a switch_dtmf_t; the rest as in `on_frame`.
    unsafe {
        let Some(dtmf) = input.cast::<ffi::switch_dtmf_t>().as_ref() else { return HostStatus::SWITCH_STATUS_SUCCESS };
        let key = char::from(dtmf.digit.to_ne_bytes()[0]);
        call_control("listener key", buf, |control| control.key(key))
    }
}
