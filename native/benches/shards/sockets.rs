//! Clients that do as little as possible with what they receive.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use mio::{Events, Interest, Poll, Token};

/// The text of the last publication of each topic.
pub(crate) const LAST: &str = "that was the last one";

/// More than a message with the last publication has after its text.
const TAIL_BYTES: usize = 16;

/// Connections, read by one thread.
pub(crate) struct Sockets {
    count: usize,
    /// Gets a message for each connection that has received the last publication.
    over: Receiver<()>,
    bytes: Arc<AtomicUsize>,
}

impl Sockets {
    /// Opens a connection for each topic, subscribed to it. Those that offer compression may get compressed messages.
    pub(crate) fn subscribe<'a>(
        address: &str,
        offers: bool,
        topics: impl Iterator<Item = &'a String>,
    ) -> Self {
        let poll = Poll::new().expect("a poll");
        let mut streams = Vec::new();
        for topic in topics {
            let mut stream = mio::net::TcpStream::from_std(connect(address, offers, topic));
            let token = Token(streams.len());
            poll.registry()
                .register(&mut stream, token, Interest::READABLE)
                .expect("a new socket");
            streams.push(stream);
        }
        let (sender, over) = channel();
        let count = streams.len();
        let bytes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            read_all(poll, &mut streams, |read| {
                counted.fetch_add(read.len(), Ordering::Relaxed);
                if is_last(read) {
                    // The receiver may be gone.
                    let _ = sender.send(());
                }
            });
        });
        Self { count, over, bytes }
    }

    /// Waits until every connection has received the last publication of its topic, and returns how many bytes all of
    /// them got.
    pub(crate) fn wait_for_last(&self) -> usize {
        assert_eq!(self.over.iter().take(self.count).count(), self.count);
        self.bytes.load(Ordering::Relaxed)
    }
}

fn connect(address: &str, offers: bool, topic: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    let offer = match offers {
        true => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        false => "",
    };
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it takes that");
    read_until(&mut stream, b"\r\n\r\n");
    // If answers come one by one, none is long enough to be compressed.
    send(&mut stream, r#"{"type":"hello"}"#);
    read_until(&mut stream, b"\"welcome\"");
    send(
        &mut stream,
        &format!(r#"{{"type":"subscribe","pattern":"{topic}"}}"#),
    );
    read_until(&mut stream, b"\"subscribed\"");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

fn send(stream: &mut std::net::TcpStream, frame: &str) {
    let length = u8::try_from(frame.len()).expect("short");
    // Masked with zeros: the text stays as it is.
    let header = [0x81, 0x80 | length, 0, 0, 0, 0];
    let message = [&header, frame.as_bytes()].concat();
    stream.write_all(&message).expect("it takes that");
}

/// Reads until what was read contains `end`.
fn read_until(stream: &mut std::net::TcpStream, end: &[u8]) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !read.windows(end.len()).any(|window| window == end) {
        let bytes = stream.read(&mut buffer).expect("it answers");
        assert!(bytes > 0, "the server closed the connection");
        read.extend_from_slice(&buffer[..bytes]);
    }
}

/// Reads until the server closes.
fn read_all(mut poll: Poll, streams: &mut [mio::net::TcpStream], mut take: impl FnMut(&[u8])) {
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 * 1024];
    let mut open = streams.len();
    while open > 0 {
        poll.poll(&mut events, None).expect("a poll");
        for event in &events {
            loop {
                match streams[event.token().0].read(&mut buffer) {
                    Ok(0) => {
                        open -= 1;
                        break;
                    }
                    Ok(bytes) => take(&buffer[..bytes]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("a connection broke: {error}"),
                }
            }
        }
    }
}

fn is_last(read: &[u8]) -> bool {
    let tail = &read[read.len().saturating_sub(LAST.len() + TAIL_BYTES)..];
    tail.windows(LAST.len())
        .any(|window| window == LAST.as_bytes())
}
