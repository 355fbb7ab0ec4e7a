//! Reads a file or stream and encodes it into packets, each of which is sent to many legs ([`super::RtpWriter`]).

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use super::session::{FILE, Leg};
use super::text::{from_c, to_c};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as HostStatus};

/// The maximum length of a packet and of a decoded frame (SWITCH_RECOMMENDED_BUFFER_SIZE in `switch_types.h`).
const MAX_PACKET_BYTES: usize = 8192;

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
    /// Opens a file or stream. Returns `None` if it does not exist or cannot be played.
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
    pub(super) fn for_codec(&mut self, codec: *mut ffi::switch_codec_t) -> *mut ffi::switch_frame_t {
        self.frame.codec = codec;
        self.frame.flags = 0; // the core may have set some for the leg before
        &mut self.frame
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
}
