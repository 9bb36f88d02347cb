//! One WebSocket: reading what its client says, and writing as far as the kernel takes it.

use std::io::{self, Read as _, Write as _};

use bytes::{Buf, Bytes};
use mio::event::Source;
use mio::{Interest, Registry, Token};
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, WireError};
use tidegate_core::session::CloseReason;
use tungstenite::protocol::frame::coding::{CloseCode, Control, OpCode};

use super::websocket::{Incoming, Reader};
use crate::access::Pass;
use crate::deflate::{Deflater, Inflater};
use crate::encode::{self, Encoder, Message};
use crate::json::Json;

/// The most frames that leave in one message.
const FRAMES_PER_MESSAGE: usize = 64;

/// What one round reads of a socket before others have their turn.
const READ_BYTES_PER_ROUND: usize = 256 * 1024;

/// A non-blocking byte stream with a WebSocket on it.
pub(crate) enum Transport {
    Tcp(mio::net::TcpStream),
    /// The near end of a pair whose far end is an HTTP server's connection that isn't plain TCP.
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

/// What reading brought.
pub(super) struct Read {
    pub(super) frames: Vec<Result<ClientFrame<Json>, WireError>>,
    pub(super) is_closed: bool,
    /// The round is over, but the socket has more.
    pub(super) has_more: bool,
}

/// How far writing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing waits.
    Done,
    /// The socket takes no more for now.
    Full,
    /// The connection is gone.
    Broken,
}

pub(super) struct Socket {
    transport: Transport,
    reader: Reader,
    /// Whether its client understands compressed messages.
    deflates: bool,
    /// What is left of the message that the socket took in part.
    unsent: Bytes,
    /// Answers of the WebSocket protocol itself, which go before other messages.
    control: Vec<Bytes>,
    /// Counts the connection for as long as it is there.
    pass: Pass,
}

impl Socket {
    pub(super) const fn new(
        transport: Transport,
        message_bytes_max: usize,
        deflates: bool,
        pass: Pass,
    ) -> Self {
        Self {
            transport,
            reader: Reader::new(message_bytes_max, deflates),
            deflates,
            unsent: Bytes::new(),
            control: Vec::new(),
            pass,
        }
    }

    pub(super) const fn pass(&mut self) -> &mut Pass {
        &mut self.pass
    }

    /// Watches the socket, edge by edge.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.transport.source().register(registry, token, interest)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // A socket that cannot be taken off the poll leaves it by being closed.
        let _ = self.transport.source().deregister(registry);
    }

    /// Reads what is there, up to a round's share.
    pub(super) fn read(&mut self, buffer: &mut [u8], inflater: &mut Inflater) -> Read {
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
                    self.receive_into(&buffer[..bytes], inflater, &mut result);
                    if result.is_closed {
                        return result;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return result,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    result.is_closed = true;
                    return result;
                }
            }
        }
        result.has_more = true;
        result
    }

    /// Takes bytes that somebody else has read from the socket.
    pub(super) fn receive(&mut self, received: &[u8], inflater: &mut Inflater) -> Read {
        let mut result = Read::new();
        self.receive_into(received, inflater, &mut result);
        result
    }

    fn receive_into(&mut self, received: &[u8], inflater: &mut Inflater, result: &mut Read) {
        let mut pongs = Vec::new();
        let mut has_close = false;
        let read = self
            .reader
            .receive(received, inflater, |incoming| match incoming {
                Incoming::Text(text) => result.frames.extend(crate::decode::client_message(&text)),
                Incoming::Ping(payload) => {
                    pongs.push(encode::control(OpCode::Control(Control::Pong), &payload))
                }
                Incoming::Close => has_close = true,
            });
        // A client that pings without reading the answers gets the newest only.
        if let Some(pong) = pongs.pop() {
            self.control = vec![pong];
            self.write_control();
        }
        if has_close {
            self.write_close(CloseCode::Normal, "");
            result.is_closed = true;
        }
        if let Err(violation) = read {
            self.write_close(violation.close_code(), &violation.to_string());
            result.is_closed = true;
        }
    }

    /// Writes `next`'s frames until there are none or the socket takes no more. Those that wait together leave in
    /// one message.
    pub(super) fn flush(
        &mut self,
        joiner: &mut Joiner,
        mut next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Flushed {
        loop {
            match self.write_unsent() {
                Flushed::Done => {}
                stuck @ (Flushed::Full | Flushed::Broken) => return stuck,
            }
            if let Some(control) = self.control.pop() {
                self.unsent = control;
                continue;
            }
            match joiner.next_message(&mut next) {
                Some(message) => self.unsent = joiner.bytes_of(&message, self.deflates).clone(),
                None => return Flushed::Done,
            }
        }
    }

    fn write_unsent(&mut self) -> Flushed {
        while self.unsent.has_remaining() {
            match self.transport.write(&self.unsent) {
                Ok(0) => return Flushed::Broken,
                Ok(bytes) => self.unsent.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Full,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
        self.unsent = Bytes::new();
        Flushed::Done
    }

    fn write_control(&mut self) {
        if self.write_unsent() == Flushed::Done
            && let Some(control) = self.control.pop()
        {
            self.unsent = control;
            self.write_unsent();
        }
    }

    /// Tells the client why the connection closes, if it takes a word.
    pub(super) fn say_goodbye(&mut self, reason: CloseReason) {
        let (code, text) = match reason {
            CloseReason::Timeout => (CloseCode::Library(4408), ErrorCode::Timeout.as_str()),
            CloseReason::Unauthorized => {
                (CloseCode::Library(4401), ErrorCode::Unauthorized.as_str())
            }
            CloseReason::Protocol => (CloseCode::Policy, ErrorCode::BadFrame.as_str()),
            CloseReason::SlowConsumer => (CloseCode::Again, ErrorCode::SlowConsumer.as_str()),
            CloseReason::Superseded => (CloseCode::Library(4409), ErrorCode::Superseded.as_str()),
            CloseReason::Drained => (CloseCode::Restart, ErrorCode::Draining.as_str()),
            CloseReason::Ended => (CloseCode::Normal, ""),
        };
        self.write_close(code, text);
    }

    fn write_close(&mut self, code: CloseCode, text: &str) {
        if self.write_unsent() != Flushed::Done {
            return;
        }
        let payload = [&u16::from(code).to_be_bytes(), text.as_bytes()].concat();
        self.unsent = encode::control(OpCode::Control(Control::Close), &payload);
        self.write_unsent();
    }
}

impl Read {
    const fn new() -> Self {
        Self {
            frames: Vec::new(),
            is_closed: false,
            has_more: false,
        }
    }
}

impl Transport {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }
}

/// Makes one message of the frames that wait together; those who wait for the same frames share the message.
#[derive(Default)]
pub(super) struct Joiner {
    encoder: Encoder,
    parts: Vec<Message>,
    last: Option<(Vec<Message>, Message)>,
    deflater: Deflater,
    /// Longer texts are compressed, for those who understand it.
    compress_above: Option<usize>,
}

impl Joiner {
    pub(super) fn new(compress_above: Option<usize>) -> Self {
        Self {
            compress_above,
            ..Self::default()
        }
    }

    /// What is to be sent of a message to somebody who understands compressed ones, or doesn't.
    fn bytes_of<'a>(&mut self, message: &'a Message, deflates: bool) -> &'a Bytes {
        let bytes_max = self.compress_above.filter(|_| deflates);
        let is_long = bytes_max.is_some_and(|bytes_max| message.text_len() > bytes_max);
        let deflated = is_long.then(|| message.deflated(&mut self.deflater));
        deflated.flatten().unwrap_or(message.framed())
    }

    fn next_message(
        &mut self,
        mut next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Option<Message> {
        self.parts.clear();
        while self.parts.len() < FRAMES_PER_MESSAGE {
            match next() {
                Some(frame) => self.parts.push(self.encoder.message(&frame)),
                None => break,
            }
        }
        match self.parts.as_slice() {
            [] => None,
            [single] => Some(single.clone()),
            several => {
                if let Some((parts, message)) = &self.last
                    && parts.len() == several.len()
                    && parts.iter().zip(several).all(|(a, b)| a.is(b))
                {
                    return Some(message.clone());
                }
                let message = Message::join(several);
                self.last = Some((std::mem::take(&mut self.parts), message.clone()));
                Some(message)
            }
        }
    }

    /// Lets go of the messages of a round that is over.
    pub(super) fn forget(&mut self) {
        self.encoder.forget();
        self.parts.clear();
        self.last = None;
    }
}
