//! Answers the bytes of a connection to the dashboard.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::inject_fault;
use crate::app::App;
use crate::freeswitch::StateLookup;
use crate::module::Loaded;
use crate::web::{TokenFile, router};

/// The tokens. None of them may see anything of `b.test`, in which Mr Chen is parked too.
const TOKENS: &str =
    "viewer-0123456789 view a.test\nactor-0123456789 view,act a.test\nother-0123456789 view,act c.test\n";
/// The maximum number of bytes of an answer that are checked, because the stream of events has no end.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

fn loaded() -> Arc<App> {
    Loaded::find().expect("loaded")
}

/// Answers the bytes of a connection.
pub fn http(request: &[u8]) {
    let answer = answer(request);
    let service = &loaded().service;
    if let Err(why) = service.check() {
        panic!("{why}");
    }
    check_answer(request, &String::from_utf8_lossy(&answer));
}

/// Returns the answer to these bytes.
fn answer(request: &[u8]) -> Vec<u8> {
    thread_local! { static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() }; }
    RUNTIME.with(|runtime| {
        let runtime = runtime.get_or_init(|| {
            // The runtime has a clock of its own, because an unknown token is answered after a delay.
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
        });
        runtime.block_on(async {
            let (mut ours, theirs) = duplex(MAX_ANSWER_BYTES);
            let (stop, stopped) = watch::channel(false);
            let tokens = TokenFile::parse(TOKENS, None).expect("tokens");
            let service = TowerToHyperService::new(router(loaded().http.sources().clone(), tokens, false, stopped));
            let served =
                tokio::spawn(http1::Builder::new().half_close(true).serve_connection(TokioIo::new(theirs), service));
            let mut answer = Vec::new();
            let asked = async {
                ours.write_all(request).await?;
                ours.shutdown().await?;
                let mut piece = [0; 4096];
                while answer.len() < MAX_ANSWER_BYTES {
                    match ours.read(&mut piece).await? {
                        0 => break,
                        length => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
                    }
                }
                Ok::<(), std::io::Error>(())
            };
            let _ = tokio::time::timeout(Duration::from_secs(30), asked).await;
            drop(stop);
            drop(ours);
            // A panic of the server becomes a panic of this function.
            if let Ok(Err(broken)) = tokio::time::timeout(Duration::from_secs(30), served).await {
                panic!("{broken}");
            }
            answer
        })
    })
}

fn check_answer(request: &[u8], answer: &str) {
    let request = String::from_utf8_lossy(request);
    let says = |text: &str| request.contains(text);
    assert!(!answer.contains("a bug; see the log"), "{request:?}");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{request:?}: {answer:?}");
    // The name of a caller is in an answer only if the request has a token.
    let tells = answer.contains("Mr Chen");
    if !(says("viewer-0123456789") || says("actor-0123456789")) {
        assert!(!tells, "{request:?} tells of a call without a token");
    }
    // A quote within a text is escaped, so this is not the text of a label.
    assert!(!answer.contains(r#""domain":"b.test""#), "{request:?} tells of another domain");
    let statuses = answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect::<Vec<_>>();
    assert!(!statuses.contains(&"500"), "{request:?}: {answer:?}");
    if says("POST") && !says("actor-0123456789") && !says("GET") && !says("HEAD") {
        assert!(!statuses.contains(&"200"), "{request:?} acted: {answer:?}");
    }
    for head in answer.split("\r\n\r\n").filter(|head| head.starts_with("HTTP/1.1 2")) {
        assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    }
    inject_fault(tells && !says("Host: x\r"));
}
