//! Receives what the module's hooks send, and prints it: in the simulated office there is no chat.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{io, thread};

/// How much of a message is printed, in characters.
const SHOWN_CHARS: usize = 600;

/// Starts the receiver on a free port of this machine, and returns its address. Nothing is printed while `quiet` is true.
pub(crate) fn receive(quiet: Arc<AtomicBool>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let quiet = Arc::clone(&quiet);
            thread::spawn(move || serve(stream, &quiet));
        }
    });
    Ok(address)
}

/// Answers the requests of one connection, until the client closes it.
fn serve(stream: TcpStream, quiet: &AtomicBool) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut requests = BufReader::new(stream);
    while let Ok(Some((path, body))) = request(&mut requests) {
        if !quiet.load(Ordering::Relaxed) {
            println!("{:10}hook {} would get: {}", "", path.trim_start_matches('/'), shown(&body));
        }
        if answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// Reads a request: its path and its body; `None` at the end of the connection.
fn request(stream: &mut impl io::BufRead) -> io::Result<Option<(String, String)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    Ok(Some((path, String::from_utf8_lossy(&body).into_owned())))
}

fn shown(body: &str) -> String {
    let mut shown: String = body.chars().take(SHOWN_CHARS).collect();
    if shown.len() < body.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_connection_are_read_one_after_the_other() {
        let sent =
            "POST /chat HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloPOST /two HTTP/1.1\r\ncontent-length: 2\r\n\r\nok";
        let mut stream = io::Cursor::new(sent);
        assert_eq!(request(&mut stream).unwrap(), Some(("/chat".into(), "hello".into())));
        assert_eq!(request(&mut stream).unwrap(), Some(("/two".into(), "ok".into())));
        assert_eq!(request(&mut stream).unwrap(), None);
    }
}
