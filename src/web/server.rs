//! The HTTP listener, its connections and their limits, on a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::Sources;
use super::access::Tokens;
use super::routes::{self, Router};
use crate::freeswitch::{guard, keep_libraries};

/// The maximum number of threads for requests that may wait: for the database, another node, or a directory on another machine.
const MAX_THREADS: usize = 16;
/// The maximum number of connections. Others are closed when they come.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may take to send its headers, or be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may not read what it is sent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum size of the headers of a request, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// How long shutdown waits for requests in progress.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A server that runs until it is stopped.
pub(super) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// Returns whether all threads of the server have ended.
    thread: JoinHandle<bool>,
}

impl Server {
    pub(super) fn start(address: SocketAddr, tokens: Tokens, sources: Sources) -> io::Result<Server> {
        let listener = std::net::TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(MAX_THREADS)
            .thread_name("callpark-http")
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let router = routes::router(sources, tokens, address.ip().is_loopback(), stopped.clone());
        let body = move || {
            // A panic drops the runtime, which waits for its threads.
            guard::fence("http", true, || {
                runtime.block_on(serve(listener, router, stopped));
                let began = Instant::now();
                // This joins the threads that wait for the database, unless they take too long.
                runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
                began.elapsed() < SHUTDOWN_TIMEOUT
            })
        };
        let thread = std::thread::Builder::new().name("callpark-http".into()).spawn(body)?;
        Ok(Server { address, stop, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the thread has ended, which happens by itself only because of a bug.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the server. Returns false if a thread may still wait for the database, so that its code must stay.
    pub(super) fn stop(self) -> bool {
        let _ = self.stop.send(true);
        let ended = self.thread.join().unwrap_or_else(|_| {
            log::error!(thread = "http"; "thread ended in a panic");
            false
        });
        if !ended {
            log::warn!("a request to the dashboard still waits for the database");
            keep_libraries();
        }
        ended
    }
}

async fn serve(listener: std::net::TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(why) => return log::error!(cause:% = why; "HTTP server cannot accept connections"),
    };
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Most often there are no file descriptors left, and other connections may close.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // A client that does not read counts as one that has disappeared.
        if let Err(why) = SockRef::from(&stream).set_tcp_user_timeout(Some(READ_TIMEOUT)) {
            log::warn!(cause:% = why; "HTTP connection has no limit for a slow reader");
        }
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _: Result<(), _> = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(MAX_HEADER_BYTES)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(permit);
            Ok::<(), Infallible>(())
        });
    }
}
