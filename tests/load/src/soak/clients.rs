//! The watching connections, of several kinds, which come and go.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mio::{Interest, Poll, Token};
use serde_json::Value;

use super::{Arguments, jobs};
use crate::dialect::{Dialect, get};
use crate::pipe::Pipe;
use crate::swarm;
use crate::websocket::{client_close, client_text, take_messages};

/// The number of topics with presences.
const ROOMS: u64 = 20;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Every publication of one job, by WebSocket.
    Every,
    /// One job, once a second.
    Paced,
    /// All jobs by one pattern, each once a second.
    All,
    /// Being present in a room, and watching its presences.
    Present,
    /// Every publication of one job, as an event stream.
    Events,
}

impl Way {
    /// Of twenty connections, ten get every publication over a WebSocket.
    const fn of(index: usize) -> Self {
        match index % 20 {
            0..10 => Self::Every,
            10..14 => Self::Paced,
            14 => Self::All,
            15..17 => Self::Present,
            _ => Self::Events,
        }
    }
}

/// How a connection is closed.
#[derive(Clone, Copy)]
enum Farewell {
    /// With WebSocket's close frame.
    Said,
    /// The socket is closed.
    Closed,
    /// The socket is reset.
    Reset,
}

/// The losses of all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) opened: u64,
    pub(super) deliveries: u64,
    /// Publications that were missing where every one was asked for.
    pub(super) gaps: u64,
    /// Losses that connections were told of.
    pub(super) told_losses: u64,
}

/// All watching connections.
pub(super) struct Clients {
    server: SocketAddr,
    jobs: u64,
    clients: Vec<Client>,
    random: Random,
    buffer: Vec<u8>,
    pub(super) seen: Seen,
}

struct Client {
    way: Way,
    stream: Pipe<mio::net::TcpStream>,
    /// The bytes of an incomplete message.
    received: Vec<u8>,
    /// Epoch and offset of the last publication.
    last: Option<(u64, u64)>,
}

/// What to do with a connection after a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Stays,
    /// Close it: the job that it watched has ended.
    Leaves,
}

impl Clients {
    pub(super) fn open(poll: &Poll, server: SocketAddr, arguments: &Arguments) -> Result<Self> {
        let mut clients = Self {
            server,
            jobs: arguments.jobs as u64,
            clients: Vec::with_capacity(arguments.connections),
            random: Random(1),
            buffer: vec![0; 64 * 1024],
            seen: Seen::default(),
        };
        for index in 0..arguments.connections {
            let client = clients.connect(poll, index)?;
            clients.clients.push(client);
        }
        Ok(clients)
    }

    fn connect(&mut self, poll: &Poll, index: usize) -> Result<Client> {
        self.seen.opened += 1;
        let way = Way::of(index);
        let job = jobs::topic(self.random.below(self.jobs) as usize);
        let steps = match way {
            Way::Events => Vec::new(),
            Way::Every | Way::Paced | Way::All | Way::Present => Dialect::Tidegate.publisher(),
        };
        let request = match way {
            Way::Events => get(&format!("/events?topic={job}"), ""),
            Way::Every => text(&format!(r#"{{"type":"subscribe","pattern":"{job}"}}"#)),
            Way::Paced => text(&format!(
                r#"{{"type":"subscribe","pattern":"{job}","flow":{{"throttle_ms":1000}}}}"#
            )),
            Way::All => {
                text(r#"{"type":"subscribe","pattern":"job:**","flow":{"throttle_ms":1000}}"#)
            }
            Way::Present => {
                let room = self.random.below(ROOMS);
                text(&format!(
                    r#"[{{"type":"track","ref":1,"topic":"room:{room}","key":"user-{index}","data":{{}}}},{{"type":"watch","ref":2,"topic":"room:{room}"}}]"#
                ))
            }
        };
        let mut stream = swarm::open(self.server, None, &steps)
            .with_context(|| format!("connection {index}"))?;
        stream.write_all(&request)?;
        poll.registry()
            .register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Client {
            way,
            stream,
            received: Vec::new(),
            last: None,
        })
    }

    /// Reads what has arrived on a connection, which is replaced if its job has ended.
    pub(super) fn read(&mut self, poll: &Poll, index: usize) -> Result<()> {
        let mut next = Next::Stays;
        loop {
            let client = &mut self.clients[index];
            match client.stream.read(&mut self.buffer) {
                Ok(0) => bail!("the server closed connection {index} ({:?})", client.way),
                Ok(bytes) => client.received.extend_from_slice(&self.buffer[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("connection {index} ({:?}) broke", client.way));
                }
            }
            if client.take(&mut self.seen)? == Next::Leaves {
                next = Next::Leaves;
                break;
            }
        }
        if next == Next::Leaves {
            self.replace(poll, index)?;
        }
        Ok(())
    }

    /// Closes a random connection, and opens another one.
    pub(super) fn replace_one(&mut self, poll: &Poll) -> Result<()> {
        let index = self.random.below(self.clients.len() as u64) as usize;
        self.replace(poll, index)
    }

    fn replace(&mut self, poll: &Poll, index: usize) -> Result<()> {
        let farewell = match self.random.below(3) {
            0 => Farewell::Said,
            1 => Farewell::Closed,
            _ => Farewell::Reset,
        };
        self.clients[index].leave(poll, farewell)?;
        self.clients[index] = self.connect(poll, index)?;
        Ok(())
    }
}

impl Client {
    /// Processes the complete messages.
    fn take(&mut self, seen: &mut Seen) -> Result<Next> {
        let mut texts = Vec::new();
        if self.way == Way::Events {
            take_events(&mut self.received, |event| texts.push(event.to_vec()));
        } else {
            take_messages(&mut self.received, |message| texts.push(message.to_vec()));
        }
        let mut next = Next::Stays;
        for text in &texts {
            let message: Value = serde_json::from_slice(text)
                .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(text)))?;
            let frames = match message {
                Value::Array(frames) => frames,
                frame => vec![frame],
            };
            for frame in &frames {
                if self.take_frame(frame, seen)? == Next::Leaves {
                    next = Next::Leaves;
                }
            }
        }
        Ok(next)
    }

    fn take_frame(&mut self, frame: &Value, seen: &mut Seen) -> Result<Next> {
        match frame["type"].as_str().unwrap_or_default() {
            "pub" => {
                seen.deliveries += 1;
                if matches!(self.way, Way::Every | Way::Events) {
                    seen.gaps += self.missing_before(frame)?;
                }
            }
            "end" => return Ok(Next::Leaves),
            "ping" => self.stream.write_all(&text(r#"{"type":"pong"}"#))?,
            "reset" | "lagged" => seen.told_losses += 1,
            "error" => bail!("the server answered {frame}"),
            _ => {}
        }
        Ok(Next::Stays)
    }

    /// The number of publications missing between the last one and this one.
    fn missing_before(&mut self, frame: &Value) -> Result<u64> {
        let number = |name| frame[name].as_u64().context("a publication has a position");
        let (epoch, offset) = (number("epoch")?, number("offset")?);
        let missing = match self.last {
            Some((before, last)) if before == epoch => {
                let next = last + 1;
                offset
                    .checked_sub(next)
                    .with_context(|| format!("offset {offset} came after {last}"))?
            }
            _ => 0,
        };
        self.last = Some((epoch, offset));
        Ok(missing)
    }

    fn leave(&mut self, poll: &Poll, farewell: Farewell) -> Result<()> {
        poll.registry().deregister(&mut self.stream)?;
        match farewell {
            // The server may have closed the socket already, so errors are ignored.
            Farewell::Said if self.way != Way::Events => {
                let _ = self.stream.write(&client_close());
            }
            Farewell::Said | Farewell::Closed => {}
            Farewell::Reset => {
                rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
            }
        }
        Ok(())
    }
}

fn text(frame: &str) -> Vec<u8> {
    client_text(frame.as_bytes())
}

/// Takes the data of the complete lines off the front of an event stream.
fn take_events(received: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
    let mut used = 0;
    while let Some(length) = memchr::memchr(b'\n', &received[used..]) {
        if let Some(data) = received[used..used + length].strip_prefix(b"data: ") {
            take(data);
        }
        used += length + 1;
    }
    received.drain(..used);
}

/// Decides which connections are replaced, and how; the same in every run.
struct Random(u64);

impl Random {
    /// A number below `bound` (Marsaglia's xorshift).
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_once_their_lines_are_complete() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\nretry: 2000\n\nid: 7:1\ndata: {\"offset\":1}\n\nid: 7:2\ndata: {\"offset\":2}\n\n";
        for piece in [1, 3, 20, 1_000] {
            let (mut received, mut events) = (Vec::new(), Vec::new());
            for bytes in bytes.chunks(piece) {
                received.extend_from_slice(bytes);
                take_events(&mut received, |data| events.push(data.to_vec()));
            }
            assert_eq!(events, [b"{\"offset\":1}", b"{\"offset\":2}"], "{piece}");
        }
    }
}
