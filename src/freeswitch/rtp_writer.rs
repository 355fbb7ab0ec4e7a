//! Sends audio to many legs at a time: a source is read and encoded once, and each packet is sent to all legs that share it.
//!
//! A leg that plays for itself is woken by a timer for each packet. While it shares, its own thread sleeps, and another thread sends. This is sound
//! because the thread of the leg stays in [`Leg::share_media`] until it has ended the sharing, for which it waits for a send in progress. So the
//! session exists during each send.

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::encoder::Packet;
use super::media::is_learning_address;
use super::rtp_counters::RtpCounters;
use super::rtp_input::has_sound;
use super::session::Leg;
use super::waker::{WakeGuard, Waker, Wakers};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_media_flow_t as Flow};

/// The state of a leg is looked at with each of so many packets: its codec, whether it listens, and whether it must be read. Each look touches memory that is
/// in no cache. A re-INVITE changes the payload type first, which is looked at with each packet.
const LOOK_EVERY: u32 = 5;
/// A leg is woken to be read at so many looks in a row, ten seconds long. Then nothing helps: it is paused, say.
const MAX_NEEDED: u32 = 100;
const AUDIO: ffi::switch_media_type_t = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;

/// The result of sending a packet to one leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendResult {
    /// The leg shares on. It may hold, so that nothing was sent.
    Yes,
    /// The leg does not share any more.
    Gone,
    /// The format of the leg has changed.
    Misfit,
}

/// The RTP by which audio is sent to a leg: its RTP session, and the payload type. A re-INVITE changes the payload type at once, and the codec with one of the
/// next packets that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RtpStream {
    rtp: *mut ffi::switch_rtp_t,
    payload_type: u32,
}

impl RtpStream {
    /// # Safety
    /// `rtp` is an RTP session whose session is kept.
    unsafe fn of(rtp: *mut ffi::switch_rtp_t) -> RtpStream {
        // SAFETY: by this function's contract.
        RtpStream { rtp, payload_type: unsafe { ffi::switch_rtp_get_default_payload(rtp) } }
    }
}

/// Sends packets to one leg.
pub(crate) struct RtpWriter {
    /// The leg, while it shares. It is locked during a send.
    target: Mutex<Option<RtpTarget>>,
    served: AtomicBool,
    /// Whether the address of the far end is to be learned.
    address_unknown: AtomicBool,
    /// Whether the far end wants to receive: it does not hold.
    listens: AtomicBool,
    /// How many packets there were for the leg, and how many packets the core had sent to it at the last look.
    given: AtomicU32,
    sent: AtomicUsize,
    /// At how many looks in a row the leg needed to be read.
    needed: AtomicU32,
    waker: Arc<Waker>,
}

struct RtpTarget {
    session: NonNull<ffi::switch_core_session_t>,
    /// The codec of the leg at the start, and its implementation, which is only compared.
    codec: *mut ffi::switch_codec_t,
    implementation: *const ffi::switch_codec_implementation_t,
    /// Its RTP at the start; `None` if it had none yet.
    stream: Option<RtpStream>,
    counters: RtpCounters<'static>,
}

// SAFETY: the core lets any thread write to a session that is kept, as each leg of a bridge does to the other; `Leg::share_media` keeps it
// while it is the target.
unsafe impl Send for RtpTarget {}

impl RtpWriter {
    /// Sends a packet to the leg. The core sends without waiting.
    pub(crate) fn send(&self, packet: &mut Packet<'_>) -> SendResult {
        let target = self.target.lock();
        let Some(target) = target.as_ref() else { return SendResult::Gone };
        let looks = self.given.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == 0;
        // SAFETY: the session is kept while it is the target, and the target is locked. An RTP session lives in the memory of its session, also after it
        // has ended; the core checks whether it is ready. The packet lives through the call; the core copies what it sends and leaves the data alone.
        unsafe {
            if looks {
                if !target.fits() {
                    return SendResult::Misfit;
                }
                self.listens.store(listens(target.session.as_ptr()), Ordering::Relaxed);
            }
            let Some(stream) = target.stream.filter(|_| self.listens.load(Ordering::Relaxed)) else {
                return SendResult::Yes;
            };
            if RtpStream::of(stream.rtp) != stream {
                return SendResult::Misfit;
            }
            // This is what an endpoint with RTP does in the end. The layers above it serve media bugs and transcoding, which such a leg has not (a leg with a
            // media bug plays for itself), and would wait for media that is not ready.
            ffi::switch_rtp_write_frame(stream.rtp, packet.for_codec(target.codec));
            if looks && self.needs_read(stream.rtp, target.counters) {
                self.waker.wake();
            }
        }
        SendResult::Yes
    }

    /// Whether the thread of the leg, which alone may read, should do that now. The address of the far end is to be learned: a re-INVITE has made the core learn
    /// it again, or a packet has come from a far end that has sent nothing. Or the core has sent none of the last packets, mostly because it sends a digit,
    /// which goes on with each read.
    ///
    /// # Safety
    /// `rtp` is an RTP session whose session is kept.
    unsafe fn needs_read(&self, rtp: *mut ffi::switch_rtp_t, counters: RtpCounters<'_>) -> bool {
        let sent = counters.sent();
        let stuck = self.sent.swap(sent, Ordering::Relaxed) == sent;
        // SAFETY: by this function's contract.
        let learns = unsafe { is_learning_address(rtp) };
        let begins = !self.address_unknown.swap(learns, Ordering::Relaxed) && learns;
        // SAFETY: as above.
        let needs = stuck || begins || (learns && unsafe { has_sound(rtp) });
        let times = if needs { self.needed.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.needed.store(times, Ordering::Relaxed);
        needs && times <= MAX_NEEDED
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

impl RtpTarget {
    /// Whether the leg has the codec and the RTP that it had at the start, and its media still comes to this server.
    ///
    /// # Safety
    /// The session is kept.
    unsafe fn fits(&self) -> bool {
        let session = self.session.as_ptr();
        // SAFETY: by this function's contract; a codec and what it points to stay while its session does.
        unsafe {
            let codec = ffi::switch_core_session_get_write_codec(session);
            let same = ptr::eq(codec, self.codec)
                && codec.as_ref().is_some_and(|codec| ptr::eq(codec.implementation, self.implementation));
            let rtp = ffi::switch_core_media_get_rtp_session(session, AUDIO);
            let channel = ffi::switch_core_session_get_channel(session);
            same && ptr::eq(rtp, self.stream.map_or(ptr::null_mut(), |stream| stream.rtp))
                && ffi::switch_channel_test_flag(channel, Flag::CF_PROXY_MODE) == 0
        }
    }
}

/// Whether the far end of a leg wants to receive.
///
/// # Safety
/// The session is kept.
unsafe fn listens(session: *mut ffi::switch_core_session_t) -> bool {
    // SAFETY: by this function's contract.
    let flow = unsafe { ffi::switch_core_session_media_flow(session, AUDIO) };
    matches!(flow, Flow::SWITCH_MEDIA_FLOW_SENDRECV | Flow::SWITCH_MEDIA_FLOW_SENDONLY)
}

/// Ends the sharing of a leg, also after a panic.
struct EndSharing<'a>(&'a RtpWriter);

impl Drop for EndSharing<'_> {
    fn drop(&mut self) {
        self.0.target.lock().take();
    }
}

impl Leg<'_> {
    pub(crate) fn rtp_stream(&self) -> Option<RtpStream> {
        // SAFETY: an RTP session lives as long as its leg.
        self.rtp_session().map(|rtp| unsafe { RtpStream::of(rtp.as_ptr()) })
    }

    /// Lets another thread send to the leg while `meanwhile` runs, on this thread, which is that of the leg. In that time nobody else may send to
    /// it, including `meanwhile`. `waker` wakes this thread when something is done to the leg, or nothing is sent any more.
    pub(crate) fn share_media<T>(
        &self,
        wakers: &Wakers,
        waker: &Arc<Waker>,
        meanwhile: impl FnOnce(&Arc<RtpWriter>) -> T,
    ) -> T {
        // SAFETY: the session is kept.
        let codec = unsafe { ffi::switch_core_session_get_write_codec(self.as_ptr()) };
        let target = NonNull::new(self.as_ptr()).map(|session| RtpTarget {
            session,
            codec,
            // SAFETY: a codec stays while its session does.
            implementation: unsafe { codec.as_ref() }.map_or(ptr::null(), |codec| codec.implementation),
            stream: self.rtp_stream(),
            // SAFETY: they are read while the session is the target.
            counters: unsafe { self.rtp_counters().unbound() },
        });
        let writer = Arc::new(RtpWriter {
            target: Mutex::new(target),
            served: AtomicBool::new(true),
            address_unknown: AtomicBool::new(false),
            listens: AtomicBool::new(true),
            given: AtomicU32::new(0),
            sent: AtomicUsize::new(0),
            needed: AtomicU32::new(0),
            waker: Arc::clone(waker),
        });
        let _end_sharing = EndSharing(&writer);
        let _guard = WakeGuard::with(wakers, self, waker);
        meanwhile(&writer)
    }
}
