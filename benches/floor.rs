//! The floor of what sending music can cost: one thread sends a packet from each of so many sockets every 20 ms, by `sendto` alone.
//!
//! usage: floor <callers> <seconds>      prints the processor time of that thread for each caller, in % of a core
//!
//! Another thread receives the packets, as the callers' programs do, so that no buffer is full. Its time is not counted.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// 20 ms of PCMU with an RTP header.
const PACKET: [u8; 172] = [0x80; 172];
const INTERVAL: Duration = Duration::from_millis(20);

fn main() -> io::Result<()> {
    let mut words = env::args().skip(1).filter_map(|word| word.parse::<u32>().ok());
    let (Some(callers), Some(seconds)) = (words.next(), words.next()) else {
        return Err(io::Error::other("usage: floor <callers> <seconds>"));
    };
    let sockets: io::Result<Vec<(UdpSocket, UdpSocket)>> = (0..callers).map(|_| pair()).collect();
    let sockets = sockets?;
    let over = AtomicBool::new(false);
    let used = thread::scope(|scope| {
        scope.spawn(|| receive(&sockets, &over));
        let used = send(&sockets, seconds);
        over.store(true, Ordering::Relaxed);
        used
    })?;
    println!("{:.5}", 100.0 * used.as_secs_f64() / f64::from(seconds) / f64::from(callers));
    Ok(())
}

/// A socket that sends, and the one that receives.
fn pair() -> io::Result<(UdpSocket, UdpSocket)> {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    to.set_nonblocking(true)?;
    Ok((from, to))
}

fn send(sockets: &[(UdpSocket, UdpSocket)], seconds: u32) -> io::Result<Duration> {
    let peers: io::Result<Vec<_>> = sockets.iter().map(|(_, to)| to.local_addr()).collect();
    let peers = peers?;
    let (began, mut due) = (thread_time()?, Instant::now());
    for _ in 0..seconds * 50 {
        for ((from, _), peer) in sockets.iter().zip(&peers) {
            from.send_to(&PACKET, peer)?;
        }
        due += INTERVAL;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(thread_time()? - began)
}

fn receive(sockets: &[(UdpSocket, UdpSocket)], over: &AtomicBool) {
    let mut packet = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        for (_, to) in sockets {
            while to.recv(&mut packet).is_ok() {}
        }
        thread::sleep(INTERVAL * 10);
    }
}

/// The processor time of this thread.
fn thread_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` has room for the answer.
    if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32))
}
