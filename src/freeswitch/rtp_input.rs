//! Reads all packets that have come to a leg at once, for a leg that may be read later than its packets come.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::session::Leg;
use crate::ffi::{self, switch_io_flag_enum_t as IoFlag, switch_rtp_flag_t as RtpFlag};

/// The maximum number of packets that are read at once, and the longest time for that. More may come meanwhile, and the core takes the duration of a packet
/// to read from a leg that holds.
const MAX_BURST: usize = 64;
const MAX_BURST_TIME: Duration = Duration::from_millis(10);
/// The bits of the second byte of a packet with the payload type (RFC 3550, 5.1), and that of comfort noise (RFC 3389, 4).
const PAYLOAD_TYPE: u8 = 0x7f;
const COMFORT_NOISE: u8 = 13;

impl Leg<'_> {
    /// Reads everything that has come from the far end, packet by packet, without waiting: the core answers STUN, decrypts, and finds keys in it. After
    /// [`Leg::drop_input`], the core drops all packets behind the first, except keys. Returns false if no packet can come.
    pub(crate) fn read_burst(&self) -> bool {
        let Some(rtp) = self.rtp_session() else { return self.ready() };
        let _untimed = Untimed::new(rtp);
        // With the second flag, the core does not wait for another packet after one of STUN.
        let how = IoFlag(IoFlag::SWITCH_IO_FLAG_NOBLOCK.0 | IoFlag::SWITCH_IO_FLAG_SINGLE_READ.0);
        let began = Instant::now();
        // SAFETY: an RTP session lives as long as its leg.
        let goes_on =
            |_: &usize| began.elapsed() < MAX_BURST_TIME && unsafe { has_packet(rtp.as_ptr(), Duration::ZERO) };
        // A read fails also when the packet was not audio.
        (0..MAX_BURST).take_while(goes_on).all(|_| self.read(how) || self.ready())
    }

    /// Whether the core waits for a timer with each read (`rtp-timer-name`), not for the next packet, however late that comes.
    pub(crate) fn has_rtp_timer(&self) -> bool {
        // SAFETY: an RTP session lives as long as its leg.
        self.rtp_session().is_none_or(|rtp| unsafe { has_timer(rtp.as_ptr()) })
    }

    /// Waits until the far end has sent something, and no longer than `time`.
    pub(super) fn await_packet(&self, time: Duration) {
        if let Some(rtp) = self.rtp_session() {
            // SAFETY: an RTP session lives as long as its leg.
            unsafe { has_packet(rtp.as_ptr(), time) };
        }
    }

    /// The leg's RTP session, if it has one. It lives as long as the leg.
    pub(super) fn rtp_session(&self) -> Option<NonNull<ffi::switch_rtp_t>> {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept.
        NonNull::new(unsafe { ffi::switch_core_media_get_rtp_session(self.as_ptr(), audio) })
    }
}

/// Whether the core waits for a timer with each read.
///
/// # Safety
/// `rtp` is an RTP session whose session is kept.
unsafe fn has_timer(rtp: *mut ffi::switch_rtp_t) -> bool {
    // SAFETY: by this function's contract.
    unsafe { ffi::switch_rtp_test_flag(rtp, RtpFlag::SWITCH_RTP_FLAG_USE_TIMER) != 0 }
}

/// Whether a packet waits to be read, or comes within this time.
///
/// # Safety
/// `rtp` is an RTP session whose session is kept.
unsafe fn has_packet(rtp: *mut ffi::switch_rtp_t, within: Duration) -> bool {
    // SAFETY: by this function's contract.
    let Some(file) = (unsafe { file_of(rtp) }) else { return false };
    let mut poll = libc::pollfd { fd: file, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which lives through the call. A file that another thread has just closed is answered with POLLNVAL.
    unsafe { libc::poll(&mut poll, 1, within.as_millis() as c_int) > 0 && poll.revents & libc::POLLIN != 0 }
}

/// Whether a packet waits to be read that is not comfort noise, from which the core learns no address.
///
/// # Safety
/// `rtp` is an RTP session whose session is kept.
pub(super) unsafe fn has_sound(rtp: *mut ffi::switch_rtp_t) -> bool {
    // SAFETY: by this function's contract.
    let Some(file) = (unsafe { file_of(rtp) }) else { return false };
    let (mut begin, how) = ([0_u8; 2], libc::MSG_PEEK | libc::MSG_DONTWAIT);
    // SAFETY: `begin` has room for its length, and a longer packet is cut off. A file that another thread has just closed is answered with an error.
    let length = unsafe { libc::recv(file, begin.as_mut_ptr().cast(), begin.len(), how) };
    length >= 0 && begin[1] & PAYLOAD_TYPE != COMFORT_NOISE
}

/// The file of the socket by which a session receives.
///
/// # Safety
/// `rtp` is an RTP session whose session is kept.
unsafe fn file_of(rtp: *mut ffi::switch_rtp_t) -> Option<c_int> {
    // SAFETY: by this function's contract; the socket lives as long as the RTP session.
    unsafe {
        let socket = ffi::switch_rtp_get_rtp_socket(rtp);
        (!socket.is_null()).then(|| ffi::switch_socket_fd_get(socket))
    }
}

/// Has an RTP session not wait for its timer with each read (`rtp_common_read` in switch_rtp.c), until this is dropped.
///
/// Nothing else depends on the timer meanwhile: what is sent has times of its own. Only when a re-INVITE makes the session one for fax (UDPTL), it must lose
/// its timer for ever. Another thread does that; if it does that at this very moment, the next read corrects it.
struct Untimed(Option<NonNull<ffi::switch_rtp_t>>);

impl Untimed {
    fn new(rtp: NonNull<ffi::switch_rtp_t>) -> Untimed {
        // SAFETY: an RTP session lives as long as its leg.
        let timed = unsafe { has_timer(rtp.as_ptr()) };
        if timed {
            // SAFETY: as above.
            unsafe { ffi::switch_rtp_clear_flag(rtp.as_ptr(), RtpFlag::SWITCH_RTP_FLAG_USE_TIMER) };
        }
        Untimed(timed.then_some(rtp))
    }
}

impl Drop for Untimed {
    fn drop(&mut self) {
        let Some(rtp) = self.0 else { return };
        // SAFETY: as in `new`.
        unsafe {
            if ffi::switch_rtp_test_flag(rtp.as_ptr(), RtpFlag::SWITCH_RTP_FLAG_UDPTL) == 0 {
                ffi::switch_rtp_set_flag(rtp.as_ptr(), RtpFlag::SWITCH_RTP_FLAG_USE_TIMER);
            }
        }
    }
}
