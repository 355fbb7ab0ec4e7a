//! Sound for many legs at once: a source is read and encoded once, and each packet is handed to every leg that is on the air.
//!
//! A leg that plays for itself is woken by a timer for every packet. On the air its own thread sleeps, and somebody else's sends.
//! What makes that sound: the leg's thread stays in [`Leg::share_media`] all the while, and takes the leg off the air, waiting for a
//! send that is under way, before it comes back. So no session is sent to that can go.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::media::seeks_address;
use super::session::{FILE, Leg};
use super::text::{from_c, to_c};
use super::waker::{WakeGuard, Waker, Wakers};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as HostStatus};

/// No packet and no decoded frame is longer (SWITCH_RECOMMENDED_BUFFER_SIZE in `switch_types.h`).
const BUFFER: usize = 8192;

/// What legs must have in common to be sent the same packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    codec: String,
    fmtp: Option<String>,
    /// Samples a second, of the sound and by the codec's RTP clock; the two differ for G.722 (RFC 3551, 4.5.2).
    rate: u32,
    clock: u32,
    channels: u32,
    bits: u32,
    packet: Duration,
}

impl Format {
    /// The time that one packet lasts.
    pub(crate) fn packet(&self) -> Duration {
        self.packet
    }

    fn ms(&self) -> u32 {
        u32::try_from(self.packet.as_millis()).unwrap_or(20)
    }

    /// Samples of each channel in a packet.
    fn samples(&self) -> usize {
        (self.rate / 1000 * self.ms()) as usize
    }

    /// By how much RTP time grows with each packet.
    pub(crate) fn step(&self) -> u32 {
        self.clock / 1000 * self.ms()
    }
}

/// Room for the core's file handle, whose fields are no business of ours: more than any release needs.
#[repr(C, align(16))]
struct Room([u8; ROOM]);

pub(crate) const ROOM: usize = 4096;

const _: () = assert!(size_of::<ffi::switch_file_handle_t>() <= ROOM);

/// An open file or stream that sound is read from.
pub(crate) struct Source {
    handle: Box<Room>,
    format: Format,
}

// SAFETY: a file handle belongs to nobody in particular; the core asks that one thread at a time uses it, as `&mut` does.
unsafe impl Send for Source {}

impl Source {
    /// `None` if there is no such thing, or it cannot be played.
    pub(crate) fn open(name: &str, format: &Format) -> Option<Source> {
        let mut handle = Box::new(Room([0; ROOM]));
        let name = to_c(name);
        let flags = ffi::switch_file_flag_enum_t::SWITCH_FILE_FLAG_READ.0
            | ffi::switch_file_flag_enum_t::SWITCH_FILE_DATA_SHORT.0;
        // SAFETY: the handle is zeroed and large enough, and stays where it is, in its box; the core gives it a pool of its own.
        let status = unsafe {
            ffi::switch_core_perform_file_open(
                FILE.as_ptr(),
                c"open".as_ptr(),
                0,
                ptr::from_mut(&mut *handle).cast(),
                name.as_ptr(),
                format.channels,
                format.rate,
                flags,
                ptr::null_mut(),
            )
        };
        (status == HostStatus::SWITCH_STATUS_SUCCESS).then(|| Source { handle, format: format.clone() })
    }

    /// The sound of one packet, filled up with silence; false at the end.
    fn read(&mut self, sound: &mut [i16]) -> bool {
        let mut samples = self.format.samples();
        // SAFETY: the handle is open; `sound` has room for as many samples of each channel as are asked for.
        let status = unsafe {
            ffi::switch_core_file_read(
                ptr::from_mut(&mut *self.handle).cast(),
                sound.as_mut_ptr().cast::<c_void>(),
                &mut samples,
            )
        };
        let got = samples * self.format.channels as usize;
        if let Some(rest) = sound.get_mut(got..) {
            rest.fill(0);
        }
        status == HostStatus::SWITCH_STATUS_SUCCESS && samples > 0
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed only here.
        unsafe { ffi::switch_core_file_close(ptr::from_mut(&mut *self.handle).cast()) };
    }
}

/// Makes packets of sound.
pub(crate) struct Encoder {
    /// On the heap: codecs may keep the address.
    codec: Box<ffi::switch_codec_t>,
    format: Format,
    sound: Vec<i16>,
    data: Vec<u8>,
    length: usize,
}

// SAFETY: as for `Source`.
unsafe impl Send for Encoder {}

impl Encoder {
    /// `None` if the codec cannot encode.
    pub(crate) fn new(format: &Format) -> Option<Encoder> {
        let samples = format.samples() * format.channels as usize;
        if samples == 0 || samples * size_of::<i16>() > BUFFER {
            return None;
        }
        let (name, fmtp) = (to_c(&format.codec), format.fmtp.as_deref().map(to_c));
        let mut codec = Box::<ffi::switch_codec_t>::default();
        // SAFETY: the core fills in the codec, which stays where it is, with a pool of its own; it copies the texts.
        let status = unsafe {
            ffi::switch_core_codec_init_with_bitrate(
                &mut *codec,
                name.as_ptr(),
                ptr::null(),
                fmtp.as_ref().map_or(ptr::null(), |fmtp| fmtp.as_ptr()),
                format.clock,
                i32::try_from(format.ms()).ok()?,
                i32::try_from(format.channels).ok()?,
                format.bits,
                ffi::switch_codec_flag_enum_t::SWITCH_CODEC_FLAG_ENCODE.0,
                ptr::null(),
                ptr::null_mut(),
            )
        };
        (status == HostStatus::SWITCH_STATUS_SUCCESS).then(|| Encoder {
            codec,
            format: format.clone(),
            sound: vec![0; samples],
            data: vec![0; BUFFER],
            length: 0,
        })
    }

    /// Makes the next packet of what `source` has; false at its end.
    pub(crate) fn encode(&mut self, source: &mut Source) -> bool {
        if !source.read(&mut self.sound) {
            return false;
        }
        let (mut length, mut rate, mut flag) = (BUFFER as u32, self.format.rate, 0);
        // SAFETY: the codec was made by `new`; both buffers are as long as is said.
        let status = unsafe {
            ffi::switch_core_codec_encode(
                &mut *self.codec,
                ptr::null_mut(),
                self.sound.as_mut_ptr().cast(),
                (self.sound.len() * size_of::<i16>()) as u32,
                self.format.rate,
                self.data.as_mut_ptr().cast(),
                &mut length,
                &mut rate,
                &mut flag,
            )
        };
        self.length = match status {
            HostStatus::SWITCH_STATUS_SUCCESS => length as usize,
            // What goes in is what would come out.
            HostStatus::SWITCH_STATUS_NOOP => self.copy_sound(),
            _ => 0,
        };
        self.length > 0 && self.length <= BUFFER
    }

    fn copy_sound(&mut self) -> usize {
        let bytes = self.sound.iter().flat_map(|sample| sample.to_ne_bytes());
        self.data.iter_mut().zip(bytes).map(|(place, byte)| *place = byte).count()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made in `new`, destroyed only here.
        unsafe { ffi::switch_core_codec_destroy(&mut *self.codec) };
    }
}

/// What became of a packet for one leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Yes,
    /// The leg is off the air.
    Gone,
    /// The leg does not speak that format any more.
    Misfit,
}

/// A leg's place among those that are sent to.
pub(crate) struct RtpWriter {
    /// The leg while it is on the air; locked while it is sent to.
    target: Mutex<Option<Target>>,
    served: AtomicBool,
    /// Rung for an address that changes: once for each change.
    rung: AtomicBool,
    waker: Arc<Waker>,
}

struct Target {
    session: NonNull<ffi::switch_core_session_t>,
    /// The leg's codec as it was when the leg went on the air; only compared.
    implementation: *const ffi::switch_codec_implementation_t,
}

// SAFETY: the core lets any thread write to a session that is kept, as each leg of a bridge does to the other; that it is kept
// is `Leg::share_media`'s to see to.
unsafe impl Send for Target {}

impl RtpWriter {
    /// Hands the encoder's last packet to the leg. Not for long: the core sends without waiting.
    pub(crate) fn send(&self, encoder: &mut Encoder, timestamp: u32) -> Sent {
        let target = self.target.lock();
        let Some(target) = target.as_ref() else { return Sent::Gone };
        let session = target.session.as_ptr();
        // SAFETY: the session is kept while it is in the seat, and the seat is locked. The frame and what it points to live
        // through the call; the core copies what it sends and leaves the data alone.
        unsafe {
            let codec = ffi::switch_core_session_get_write_codec(session);
            let channel = ffi::switch_core_session_get_channel(session);
            let same = codec.as_ref().is_some_and(|codec| ptr::eq(codec.implementation, target.implementation));
            if !same || ffi::switch_channel_test_flag(channel, Flag::CF_PROXY_MODE) != 0 {
                return Sent::Misfit;
            }
            let length = u32::try_from(encoder.length).unwrap_or(0);
            let mut frame = ffi::switch_frame_t {
                codec,
                data: encoder.data.as_mut_ptr().cast(),
                datalen: length,
                buflen: BUFFER as u32,
                samples: encoder.format.samples() as u32,
                rate: encoder.format.rate,
                channels: encoder.format.channels,
                payload: target.implementation.as_ref().map_or(0, |implementation| implementation.ianacode),
                // The core sends it as it is. Else it would transcode the first packet of a leg that is being recorded, tell the
                // endpoint of that, and wait for a thread which, in a re-INVITE, waits for it: and with it all who hear this music
                // (`switch_core_session_write_frame` in switch_core_media.c). Taps hear nothing of it; for them the leg plays alone.
                flags: ffi::switch_frame_flag_enum_t::SFF_NOT_AUDIO.0,
                // Not 0: the core would ask, and wait for, the leg's own timer (`get_next_write_ts` in switch_rtp.c).
                timestamp: timestamp.max(1),
                ..Default::default()
            };
            ffi::switch_core_session_write_frame(
                session,
                &mut frame,
                ffi::switch_io_flag_enum_t::SWITCH_IO_FLAG_NONE.0,
                0,
            );
            self.watch_address(session);
        }
        Sent::Yes
    }

    /// A re-INVITE has the core look for the far end's address anew, which it finds only if the leg's thread reads what comes.
    ///
    /// # Safety
    /// `session` is kept.
    unsafe fn watch_address(&self, session: *mut ffi::switch_core_session_t) {
        // SAFETY: by this function's contract.
        let seeks = unsafe { seeks_address(session) };
        if seeks != self.rung.load(Ordering::Relaxed) {
            self.rung.store(seeks, Ordering::Relaxed);
            if seeks {
                self.waker.ring();
            }
        }
    }

    /// The sender will not send to this leg any more.
    pub(crate) fn forget(&self) {
        self.served.store(false, Ordering::Release);
        self.waker.ring();
    }

    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }
}

/// Takes the leg off the air however its time there ends.
struct OffAir<'a>(&'a RtpWriter);

impl Drop for OffAir<'_> {
    fn drop(&mut self) {
        self.0.target.lock().take();
    }
}

impl Leg<'_> {
    /// The format that can be sent to this leg from outside; `None` if it can only play for itself: without RTP of its own, with
    /// pictures, with media that passes by, or with a codec that nobody here can encode.
    pub(crate) fn format(&self) -> Option<Format> {
        // SAFETY: the session is kept.
        let without_rtp = unsafe { ffi::switch_core_session_get_media_handle(self.as_ptr()).is_null() };
        let unfit = [Flag::CF_PROXY_MODE, Flag::CF_PROXY_MEDIA, Flag::CF_VIDEO];
        if without_rtp || !self.answered() || unfit.into_iter().any(|flag| self.flag(flag)) {
            return None;
        }
        // SAFETY: the session is kept; a codec and what it points to stay while its session does.
        unsafe {
            let codec = ffi::switch_core_session_get_write_codec(self.as_ptr()).as_ref()?;
            let implementation = codec.implementation.as_ref()?;
            if codec.flags & ffi::switch_codec_flag_enum_t::SWITCH_CODEC_FLAG_PASSTHROUGH.0 != 0 {
                return None;
            }
            Some(Format {
                codec: from_c(implementation.iananame)?,
                fmtp: from_c(codec.fmtp_in),
                rate: implementation.actual_samples_per_second,
                clock: implementation.samples_per_second,
                channels: implementation.number_of_channels.into(),
                bits: u32::try_from(implementation.bits_per_second).ok()?,
                packet: Duration::from_micros(u64::try_from(implementation.microseconds_per_packet).ok()?),
            })
        }
    }

    /// Puts the leg on the air while `meanwhile` runs, on this thread, which is the leg's own. In that time nobody else may send
    /// to it, `meanwhile` included; the bell rings when something is done to the leg, or it is sent to no more.
    pub(crate) fn share_media<T>(
        &self,
        wakers: &Wakers,
        waker: &Arc<Waker>,
        meanwhile: impl FnOnce(&Arc<RtpWriter>) -> T,
    ) -> T {
        // SAFETY: as in `format`.
        let codec = unsafe { ffi::switch_core_session_get_write_codec(self.as_ptr()).as_ref() };
        let target = NonNull::new(self.as_ptr())
            .map(|session| Target { session, implementation: codec.map_or(ptr::null(), |codec| codec.implementation) });
        let seat = Arc::new(RtpWriter {
            target: Mutex::new(target),
            served: AtomicBool::new(true),
            rung: AtomicBool::new(false),
            waker: Arc::clone(waker),
        });
        let _off_air = OffAir(&seat);
        let _rung = WakeGuard::with(wakers, self, waker);
        meanwhile(&seat)
    }
}
