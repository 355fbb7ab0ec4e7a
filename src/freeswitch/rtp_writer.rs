//! Sends audio to many legs at a time: a source is read and encoded once, and each packet is sent to all legs that share it.
//!
//! A leg that plays for itself is woken by a timer for each packet. While it shares, its own thread sleeps, and another thread sends. This is sound
//! because the thread of the leg stays in [`Leg::share_media`] until it has ended the sharing, for which it waits for a send in progress. So the
//! session exists during each send.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::media::is_learning_address;
use super::rtp_input::has_packet;
use super::session::{FILE, Leg};
use super::text::{from_c, to_c};
use super::waker::{WakeGuard, Waker, Wakers};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_media_flow_t as Flow, switch_status_t as HostStatus};

/// The maximum length of a packet and of a decoded frame (SWITCH_RECOMMENDED_BUFFER_SIZE in `switch_types.h`).
const MAX_PACKET_BYTES: usize = 8192;
/// While the address of the far end is to be learned, its first packet is looked for with each of so many packets that are sent.
const LOOK_EVERY: u32 = 5;

/// What legs must have in common to get the same packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AudioFormat {
    codec: String,
    fmtp: Option<String>,
    /// Samples per second. The rate of the codec's RTP clock (`clock`) differs for G.722 (RFC 3551, 4.5.2).
    rate: u32,
    clock: u32,
    channels: u32,
    bits: u32,
    packet: Duration,
}

impl AudioFormat {
    /// The duration of one packet.
    pub(crate) fn packet(&self) -> Duration {
        self.packet
    }

    fn ms(&self) -> u32 {
        u32::try_from(self.packet.as_millis()).unwrap_or(20)
    }

    /// The number of samples of each channel in a packet.
    fn samples(&self) -> usize {
        (self.rate / 1000 * self.ms()) as usize
    }

    /// By how much the RTP time increases with each packet.
    pub(crate) fn step(&self) -> u32 {
        self.clock / 1000 * self.ms()
    }
}

/// Memory for the core's file handle, whose fields are opaque here. It is more than any release needs.
#[repr(C, align(16))]
struct FileHandle([u8; FILE_HANDLE_BYTES]);

pub(crate) const FILE_HANDLE_BYTES: usize = 4096;

const _: () = assert!(size_of::<ffi::switch_file_handle_t>() <= FILE_HANDLE_BYTES);

/// An open file or stream from which audio is read.
pub(crate) struct AudioSource {
    handle: Box<FileHandle>,
    format: AudioFormat,
}

// SAFETY: a file handle belongs to no thread; the core requires that one thread at a time uses it, as `&mut` does.
unsafe impl Send for AudioSource {}

impl AudioSource {
    /// Opens a file or stream. Returns `None` if there is none of that name, or it cannot be played.
    pub(crate) fn open(name: &str, format: &AudioFormat) -> Option<AudioSource> {
        let mut handle = Box::new(FileHandle([0; FILE_HANDLE_BYTES]));
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
        (status == HostStatus::SWITCH_STATUS_SUCCESS).then(|| AudioSource { handle, format: format.clone() })
    }

    /// Reads the audio of one packet, and fills it with silence. Returns false at the end.
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

impl Drop for AudioSource {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed only here.
        unsafe { ffi::switch_core_file_close(ptr::from_mut(&mut *self.handle).cast()) };
    }
}

/// Encodes audio into packets.
pub(crate) struct Encoder {
    /// It is on the heap because codecs may keep its address.
    codec: Box<ffi::switch_codec_t>,
    format: AudioFormat,
    sound: Vec<i16>,
    data: Vec<u8>,
    length: usize,
}

// SAFETY: as for `AudioSource`.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Makes an encoder. Returns `None` if the codec cannot encode.
    pub(crate) fn new(format: &AudioFormat) -> Option<Encoder> {
        let samples = format.samples() * format.channels as usize;
        if samples == 0 || samples * size_of::<i16>() > MAX_PACKET_BYTES {
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
            data: vec![0; MAX_PACKET_BYTES],
            length: 0,
        })
    }

    /// Encodes the next packet from `source`. Returns false at its end.
    pub(crate) fn encode(&mut self, source: &mut AudioSource) -> bool {
        if !source.read(&mut self.sound) {
            return false;
        }
        let (mut length, mut rate, mut flag) = (MAX_PACKET_BYTES as u32, self.format.rate, 0);
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
            // The encoded audio is the same as the input.
            HostStatus::SWITCH_STATUS_NOOP => self.copy_sound(),
            _ => 0,
        };
        self.length > 0 && self.length <= MAX_PACKET_BYTES
    }

    /// The last packet that was encoded. `timestamp` is its RTP time.
    pub(crate) fn packet(&mut self, timestamp: u32) -> Packet<'_> {
        let frame = ffi::switch_frame_t {
            data: self.data.as_mut_ptr().cast(),
            datalen: u32::try_from(self.length).unwrap_or(0),
            buflen: MAX_PACKET_BYTES as u32,
            samples: self.format.samples() as u32,
            rate: self.format.rate,
            channels: self.format.channels,
            // With 0, the core would wait for the timer of the leg (`get_next_write_ts` in switch_rtp.c).
            timestamp: timestamp.max(1),
            ..Default::default()
        };
        Packet { frame, data: PhantomData }
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

/// An encoded packet, which is sent to many legs.
pub(crate) struct Packet<'a> {
    frame: ffi::switch_frame_t,
    /// The frame points into the encoder.
    data: PhantomData<&'a mut Encoder>,
}

impl Packet<'_> {
    /// The packet for a leg with this codec.
    fn for_codec(&mut self, codec: *mut ffi::switch_codec_t) -> *mut ffi::switch_frame_t {
        self.frame.codec = codec;
        self.frame.flags = 0; // the core may have set some for the leg before
        &mut self.frame
    }
}

/// The result of sending a packet to one leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendResult {
    Yes,
    /// The leg does not share any more.
    Gone,
    /// The format of the leg has changed.
    Misfit,
}

/// Sends packets to one leg.
pub(crate) struct RtpWriter {
    /// The leg, while it shares. It is locked during a send.
    target: Mutex<Option<RtpTarget>>,
    served: AtomicBool,
    /// Whether the address of the far end is to be learned.
    address_unknown: AtomicBool,
    /// How many packets were sent while it was.
    sent: AtomicU32,
    waker: Arc<Waker>,
}

struct RtpTarget {
    session: NonNull<ffi::switch_core_session_t>,
    /// The codec of the leg at the start, which is only compared.
    implementation: *const ffi::switch_codec_implementation_t,
}

// SAFETY: the core lets any thread write to a session that is kept, as each leg of a bridge does to the other; `Leg::share_media` keeps it
// while it is the target.
unsafe impl Send for RtpTarget {}

impl RtpWriter {
    /// Sends a packet to the leg. The core sends without waiting.
    pub(crate) fn send(&self, packet: &mut Packet<'_>) -> SendResult {
        let target = self.target.lock();
        let Some(target) = target.as_ref() else { return SendResult::Gone };
        let (session, audio) = (target.session.as_ptr(), ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO);
        // SAFETY: the session is kept while it is the target, and the target is locked. An RTP session lives in the memory of its session, also after it
        // has ended; the core checks whether it is ready. The packet lives through the call; the core copies what it sends and leaves the data alone.
        unsafe {
            let codec = ffi::switch_core_session_get_write_codec(session);
            let channel = ffi::switch_core_session_get_channel(session);
            let same = codec.as_ref().is_some_and(|codec| ptr::eq(codec.implementation, target.implementation));
            if !same || ffi::switch_channel_test_flag(channel, Flag::CF_PROXY_MODE) != 0 {
                return SendResult::Misfit;
            }
            let rtp = ffi::switch_core_media_get_rtp_session(session, audio);
            let flow = ffi::switch_core_session_media_flow(session, audio);
            if rtp.is_null() || !matches!(flow, Flow::SWITCH_MEDIA_FLOW_SENDRECV | Flow::SWITCH_MEDIA_FLOW_SENDONLY) {
                return SendResult::Yes;
            }
            // This is what an endpoint with RTP does in the end. The layers above it serve media bugs and transcoding, which such a leg has not (a leg with a
            // media bug plays for itself), and would wait for media that is not ready.
            ffi::switch_rtp_write_frame(rtp, packet.for_codec(codec));
            self.watch_address(rtp);
        }
        SendResult::Yes
    }

    /// Wakes the thread of the leg, which alone may read, when the address of the far end is to be learned: when a re-INVITE has made the core learn it
    /// again, and when a packet has come from a far end that has sent nothing.
    ///
    /// # Safety
    /// `rtp` is an RTP session whose session is kept.
    unsafe fn watch_address(&self, rtp: *mut ffi::switch_rtp_t) {
        // SAFETY: by this function's contract.
        let seeks = unsafe { is_learning_address(rtp) };
        let begins = !self.address_unknown.swap(seeks, Ordering::Relaxed) && seeks;
        let looks = seeks && self.sent.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == 0;
        // SAFETY: as above.
        if begins || (looks && unsafe { has_packet(rtp) }) {
            self.waker.wake();
        }
    }

    /// Tells the leg that nothing is sent to it any more.
    pub(crate) fn forget(&self) {
        self.served.store(false, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }
}

/// Ends the sharing of a leg, also after a panic.
struct EndSharing<'a>(&'a RtpWriter);

impl Drop for EndSharing<'_> {
    fn drop(&mut self) {
        self.0.target.lock().take();
    }
}

impl Leg<'_> {
    /// The format in which another thread can send to this leg. Returns `None` if the leg must play for itself: it has no RTP, video, bypassed or
    /// proxied media, or a codec that cannot encode.
    pub(crate) fn format(&self) -> Option<AudioFormat> {
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
            Some(AudioFormat {
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

    /// Lets another thread send to the leg while `meanwhile` runs, on this thread, which is that of the leg. In that time nobody else may send to
    /// it, including `meanwhile`. `waker` wakes this thread when something is done to the leg, or nothing is sent any more.
    pub(crate) fn share_media<T>(
        &self,
        wakers: &Wakers,
        waker: &Arc<Waker>,
        meanwhile: impl FnOnce(&Arc<RtpWriter>) -> T,
    ) -> T {
        // SAFETY: as in `format`.
        let codec = unsafe { ffi::switch_core_session_get_write_codec(self.as_ptr()).as_ref() };
        let target = NonNull::new(self.as_ptr()).map(|session| RtpTarget {
            session,
            implementation: codec.map_or(ptr::null(), |codec| codec.implementation),
        });
        let writer = Arc::new(RtpWriter {
            target: Mutex::new(target),
            served: AtomicBool::new(true),
            address_unknown: AtomicBool::new(false),
            sent: AtomicU32::new(0),
            waker: Arc::clone(waker),
        });
        let _end_sharing = EndSharing(&writer);
        let _guard = WakeGuard::with(wakers, self, waker);
        meanwhile(&writer)
    }
}
