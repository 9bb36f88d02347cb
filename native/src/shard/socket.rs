//! One WebSocket: reads what its client sends, and writes as far as the kernel accepts it.

use std::io;

use bytes::Bytes;
use mio::{Registry, Token};
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::session::CloseReason;
use tidegate_core::topic::Topic;
use tungstenite::protocol::frame::coding::{CloseCode, Control, OpCode};

use super::joiner::{Joiner, Shared};
use super::transport::Transport;
use super::untaken::Untaken;
use super::websocket::{Incoming, Intake, Reader, Violation};
use crate::access::Pass;
use crate::encode;
use crate::json::Json;
#[cfg(unix)]
use crate::lingering::Lingering;

/// The most bytes that one round reads from a socket before others have their turn.
const READ_BYTES_PER_ROUND: usize = 256 * 1024;

/// The result of reading.
pub(super) struct Read {
    pub(super) frames: Vec<Result<ClientFrame<Json>, WireError>>,
    pub(super) is_closed: bool,
    /// The system closed it, because its client didn't accept what it was sent.
    pub(super) is_given_up: bool,
    /// Why the server closes the connection, if its client broke the WebSocket protocol.
    pub(super) violation: Option<Violation>,
    /// About how many of the bytes read belong to a message that is not complete.
    pub(super) part_bytes: usize,
    /// A control frame arrived.
    pub(super) has_control: bool,
    /// The round is over, but the socket has more.
    pub(super) has_more: bool,
}

/// How far writing got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing is waiting.
    Done,
    /// The socket accepts no more for now.
    Full,
    /// The connection is gone.
    Broken,
    /// The system gave it up, because its client didn't acknowledge, or accept, what it was sent.
    GivenUp,
}

impl Flushed {
    /// What an error means for the connection.
    pub(super) fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut {
            Self::GivenUp
        } else {
            Self::Broken
        }
    }

    /// How far writing got.
    pub(super) fn after(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Full,
            _ => Self::of(error),
        }
    }
}

pub(super) struct Socket {
    transport: Transport,
    reader: Reader,
    /// Whether the client supports compressed messages.
    deflates: bool,
    /// Boxed, because a socket that accepts everything has nothing waiting, and there are many of them.
    waiting: Option<Box<Waiting>>,
    /// Counts the connection for as long as it is there.
    pass: Box<Pass>,
}

/// What has to be written to a socket before anything else.
#[derive(Default)]
struct Waiting {
    /// The rest of the message that it accepted in part.
    unsent: Bytes,
    /// The publications in it.
    untaken: Untaken,
    /// The control frame that follows it.
    control: Option<Bytes>,
}

impl Socket {
    pub(super) fn new(
        transport: Transport,
        message_bytes_max: usize,
        deflates: bool,
        pass: Pass,
    ) -> Self {
        Self {
            transport,
            reader: Reader::new(message_bytes_max, deflates),
            deflates,
            waiting: None,
            pass: Box::new(pass),
        }
    }

    pub(super) fn pass(&mut self) -> &mut Pass {
        &mut self.pass
    }

    /// Sets whether the client has yet to authenticate.
    pub(super) const fn note_stranger(&mut self, is_stranger: bool) {
        self.reader.note_stranger(is_stranger);
    }

    /// Registers the socket, edge-triggered.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.transport.register(registry, token)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        self.transport.deregister(registry);
    }

    /// A handle that keeps the socket open after this is dropped.
    #[cfg(unix)]
    pub(super) fn lingering(&self) -> io::Result<Lingering> {
        self.transport.lingering()
    }

    /// Reads what is there, up to a round's share.
    pub(super) fn read(&mut self, buffer: &mut [u8], intake: &mut Intake) -> Read {
        let mut result = Read::new();
        let mut taken = 0;
        while taken < READ_BYTES_PER_ROUND {
            match self.transport.read(buffer) {
                Ok(0) => {
                    result.is_closed = true;
                    return result;
                }
                Ok(bytes) => {
                    taken += bytes;
                    self.receive_into(&buffer[..bytes], intake, &mut result);
                    if result.is_closed {
                        return result;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return result,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result.is_closed = true;
                    result.is_given_up = Flushed::of(&error) == Flushed::GivenUp;
                    return result;
                }
            }
        }
        result.has_more = true;
        result
    }

    /// Takes bytes that somebody else has read from the socket.
    pub(super) fn receive(&mut self, received: &[u8], intake: &mut Intake) -> Read {
        let mut result = Read::new();
        self.receive_into(received, intake, &mut result);
        result
    }

    fn receive_into(&mut self, received: &[u8], intake: &mut Intake, result: &mut Read) {
        let mut pongs = Vec::new();
        let mut has_close = false;
        let read = self
            .reader
            .receive(received, intake, |incoming| match incoming {
                Incoming::Text(text) => result.frames.extend(crate::decode::client_message(&text)),
                Incoming::Ping(payload) => {
                    result.has_control = true;
                    pongs.push(encode::control(OpCode::Control(Control::Pong), &payload))
                }
                Incoming::Pong => result.has_control = true,
                Incoming::Close => has_close = true,
            });
        result.part_bytes = if self.reader.is_within_message() {
            result.part_bytes + received.len()
        } else {
            0
        };
        // A client that pings without reading the answers gets only the newest.
        if let Some(pong) = pongs.pop() {
            self.waiting.get_or_insert_default().control = Some(pong);
            self.write_waiting();
        }
        if has_close {
            self.write_close(&[], CloseCode::Normal, "");
            result.is_closed = true;
        }
        if let Err(violation) = read {
            self.write_close(&[], violation.close_code(), &violation.to_string());
            result.violation = Some(violation);
            result.is_closed = true;
        }
    }

    /// Writes the frames that `next` returns, until there are none or the socket accepts no more. Frames that wait
    /// together leave in one message.
    pub(super) fn flush(
        &mut self,
        joiner: &mut Joiner,
        mut next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Flushed {
        loop {
            match self.write_waiting() {
                Flushed::Done => {}
                stuck @ (Flushed::Full | Flushed::Broken | Flushed::GivenUp) => return stuck,
            }
            let Some(message) = joiner.next_message(self.deflates, &mut next) else {
                return Flushed::Done;
            };
            let written = self.write(message);
            joiner.stopwatch.note_written(written == Flushed::Done);
            if let Some(waiting) = &mut self.waiting {
                waiting.untaken = joiner.untaken();
            }
            if written != Flushed::Done || !joiner.may_have_more() {
                return written;
            }
        }
    }

    /// Writes a message that others get, too. Nothing may be waiting for this socket.
    pub(super) fn deliver(&mut self, joiner: &mut Joiner, shared: &Shared) -> Flushed {
        let written = self.write(joiner.bytes_of(shared, self.deflates));
        joiner.stopwatch.note_written(written == Flushed::Done);
        if let Some(waiting) = &mut self.waiting {
            waiting.untaken = Untaken::of(std::iter::once(&shared.publication));
        }
        written
    }

    fn write_waiting(&mut self) -> Flushed {
        while let Some(waiting) = &mut self.waiting {
            if let Err(error) = self.transport.flush() {
                return Flushed::after(&error);
            }
            let next = if waiting.unsent.is_empty() {
                waiting.untaken = Untaken::default();
                waiting.control.take()
            } else {
                Some(std::mem::take(&mut waiting.unsent))
            };
            let Some(next) = next else {
                self.waiting = None;
                break;
            };
            match self.write(&next) {
                Flushed::Done => {}
                stuck @ (Flushed::Full | Flushed::Broken | Flushed::GivenUp) => return stuck,
            }
        }
        Flushed::Done
    }

    /// Writes a message while nothing is waiting. What the socket doesn't accept waits from then on.
    fn write(&mut self, message: &Bytes) -> Flushed {
        let mut written = 0;
        while written < message.len() {
            match self.transport.write(&message[written..]) {
                Ok(0) => return Flushed::Broken,
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting.get_or_insert_default().unsent = message.slice(written..);
                    return Flushed::Full;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Flushed::of(&error),
            }
        }
        if let Err(error) = self.transport.flush() {
            // All bytes are handed over, but TLS still holds some of them.
            self.waiting.get_or_insert_default();
            return Flushed::after(&error);
        }
        Flushed::Done
    }

    /// Whether the socket has not accepted everything yet.
    pub(super) const fn is_stuck(&self) -> bool {
        self.waiting.is_some()
    }

    /// The publications that the socket has not accepted.
    pub(super) fn untaken(&self) -> &[(Topic, Position)] {
        let waiting = self.waiting.as_ref();
        waiting.map_or(&[], |waiting| waiting.untaken.positions())
    }

    /// Takes out what the socket has not accepted, for somebody else to write. It accepts nothing more from here.
    #[cfg(unix)]
    pub(super) fn take_unsent(&mut self) -> Vec<Bytes> {
        let Some(waiting) = self.waiting.take() else {
            return Vec::new();
        };
        let pieces = [waiting.unsent, waiting.control.unwrap_or_default()];
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        self.transport.conclude(pieces.collect())
    }

    /// Tells the client why the connection closes, after the frame `last`, if there is one. What the socket doesn't accept waits.
    pub(super) fn say_goodbye(
        &mut self,
        joiner: &mut Joiner,
        reason: CloseReason,
        last: Option<ServerFrame<Json>>,
    ) {
        let mut last = last.into_iter();
        let last = joiner.next_message(self.deflates, || last.next());
        let last = last.cloned().unwrap_or_default();
        let (code, text) = match reason {
            CloseReason::Timeout => (CloseCode::Library(4408), ErrorCode::Timeout.as_str()),
            CloseReason::Unauthorized => {
                (CloseCode::Library(4401), ErrorCode::Unauthorized.as_str())
            }
            CloseReason::TooManyConnections => {
                (CloseCode::Again, ErrorCode::TooManyConnections.as_str())
            }
            CloseReason::Unavailable => (CloseCode::Again, ErrorCode::Unavailable.as_str()),
            CloseReason::Protocol => (CloseCode::Policy, ErrorCode::BadFrame.as_str()),
            CloseReason::SlowConsumer => (CloseCode::Again, ErrorCode::SlowConsumer.as_str()),
            CloseReason::Superseded => (CloseCode::Library(4409), ErrorCode::Superseded.as_str()),
            CloseReason::Disconnected => {
                (CloseCode::Library(4410), ErrorCode::Disconnected.as_str())
            }
            CloseReason::Drained => (CloseCode::Restart, ErrorCode::Draining.as_str()),
            CloseReason::Ended => (CloseCode::Normal, ""),
        };
        self.write_close(&last, code, text);
    }

    fn write_close(&mut self, last: &[u8], code: CloseCode, text: &str) {
        let payload = [&u16::from(code).to_be_bytes(), text.as_bytes()].concat();
        let close = encode::control(OpCode::Control(Control::Close), &payload);
        let end = Bytes::from([last, &close].concat());
        match self.write_waiting() {
            Flushed::Done => {
                self.write(&end);
            }
            // It follows what is waiting, instead of the answer to a ping.
            Flushed::Full => self.waiting.get_or_insert_default().control = Some(end),
            Flushed::Broken | Flushed::GivenUp => {}
        }
    }
}

impl Read {
    const fn new() -> Self {
        Self {
            frames: Vec::new(),
            is_closed: false,
            is_given_up: false,
            violation: None,
            part_bytes: 0,
            has_control: false,
            has_more: false,
        }
    }
}
