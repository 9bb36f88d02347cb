//! One event stream on its socket: writes chunks as far as the kernel accepts them. What the client sends is ignored,
//! except that it closes the connection.

use std::io;

use bytes::Bytes;
use mio::{Registry, Token};
use tidegate_core::event_stream::{EventStream, EventStreamOutput};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::event_writer::EventWriter;
use super::socket::Flushed;
use super::transport::Transport;
use super::untaken::Untaken;
use crate::event_stream::{ALIVE, LAST_CHUNK, OPENING, StreamContext, chunk};
use crate::json::Json;

/// How much a client may send although nobody reads it: a request that follows too early, for example.
const IGNORED_BYTES_MAX: usize = 64 * 1024;

/// An event stream and its connection.
pub(super) struct EventSocket {
    transport: Transport,
    /// Boxed, because most streams have nothing waiting, and there are many of them.
    unsent: Option<Box<Unsent>>,
    state: Box<State>,
}

/// The rest of a chunk that the socket accepted in part, and the publications in it.
#[derive(Default)]
struct Unsent {
    bytes: Bytes,
    untaken: Untaken,
}

struct State {
    context: StreamContext,
    deadlines: EventStream,
    stage: Stage,
    ignored_bytes: usize,
}

/// The stage of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// What is waiting, here and at the hub, is the last.
    Ending,
    /// What is waiting here is the last, and what is waiting at the hub is not sent.
    Expiring,
    /// The end itself has been written, or is waiting.
    Ended,
}

/// How far writing got, and the stream's next deadline if that is sooner now.
pub(super) struct Progress {
    pub(super) flushed: Flushed,
    pub(super) sooner: Option<Instant>,
}

impl EventSocket {
    /// A stream that begins with the head of its response and the frames that its reader was due.
    pub(super) fn new(
        now: Instant,
        transport: Transport,
        head: Vec<u8>,
        mut context: StreamContext,
        frames: &[ServerFrame<Json>],
        writer: &mut EventWriter,
    ) -> Self {
        let ends = context.ends_in().map(|left| now + left);
        let deadlines = EventStream::new(now, context.deadlines, ends);
        let mut start = head;
        start.extend(chunk(Vec::new(), |out| out.extend_from_slice(OPENING)).unwrap_or_default());
        let untaken = Untaken::in_frames(frames.iter());
        let mut frames = frames.iter().cloned();
        while let Some(chunk) = writer.next_chunk(&mut context.standing, || frames.next()) {
            start.extend_from_slice(&chunk);
        }
        Self {
            transport,
            unsent: Some(Box::new(Unsent {
                bytes: start.into(),
                untaken,
            })),
            state: Box::new(State {
                context,
                deadlines,
                stage: Stage::Open,
                ignored_bytes: 0,
            }),
        }
    }

    /// Registers the socket, edge-triggered.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.transport.register(registry, token)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        self.transport.deregister(registry);
    }

    /// When [`EventSocket::handle_timeout`] must be called at the latest.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.state.deadlines.poll_timeout()
    }

    /// A deadline was reached. Returns whether the stream ends or its reader is given up.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<EventStreamOutput> {
        self.state.deadlines.handle_timeout(now);
        let output = self.state.deadlines.poll_output()?;
        if output == EventStreamOutput::SayAlive && self.state.stage == Stage::Open {
            let alive = chunk(Vec::new(), |out| out.extend_from_slice(ALIVE));
            let mut took = 0;
            // A broken socket is reported by an event of its own.
            if self.write(&alive.unwrap_or_default(), &mut took) == Flushed::Full {
                self.state.deadlines.handle_stalled(now, took > 0);
            }
        }
        Some(output)
    }

    /// Nothing further follows: once what is waiting has been written, the response ends.
    pub(super) fn end(&mut self) {
        if self.state.stage == Stage::Open {
            self.state.stage = Stage::Ending;
        }
    }

    /// The reader's token has expired: once a chunk in progress has been written, the response ends.
    pub(super) fn expire(&mut self) {
        if self.state.stage != Stage::Ended {
            self.state.stage = Stage::Expiring;
        }
    }

    /// Whether everything has been written, the end included.
    pub(super) fn is_over(&self) -> bool {
        self.state.stage == Stage::Ended && self.unsent.is_none()
    }

    /// Whether the socket has not accepted everything yet.
    pub(super) const fn is_stuck(&self) -> bool {
        self.unsent.is_some()
    }

    /// The publications that the socket has not accepted.
    pub(super) fn untaken(&self) -> &[(Topic, Position)] {
        let unsent = self.unsent.as_ref();
        unsent.map_or(&[], |unsent| unsent.untaken.positions())
    }

    /// Reads and ignores what the client sends. Returns how the connection ended, if it did.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<Flushed> {
        loop {
            match self.transport.read(buffer) {
                Ok(0) => return Some(Flushed::Broken),
                Ok(bytes) => {
                    self.state.ignored_bytes += bytes;
                    if self.state.ignored_bytes > IGNORED_BYTES_MAX {
                        return Some(Flushed::Broken);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Flushed::of(&error)),
            }
        }
    }

    /// Writes the frames that `next` returns, until there are none or the socket accepts no more.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        writer: &mut EventWriter,
        next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Progress {
        let mut took = 0;
        let flushed = self.write_all(writer, next, &mut took);
        let deadlines = &mut self.state.deadlines;
        let before = deadlines.poll_timeout();
        match flushed {
            Flushed::Done if took > 0 => deadlines.handle_written(now),
            Flushed::Full => deadlines.handle_stalled(now, took > 0),
            Flushed::Done | Flushed::Broken | Flushed::GivenUp => {}
        }
        let sooner = deadlines
            .poll_timeout()
            .filter(|at| before.is_none_or(|before| *at < before));
        Progress { flushed, sooner }
    }

    fn write_all(
        &mut self,
        writer: &mut EventWriter,
        mut next: impl FnMut() -> Option<ServerFrame<Json>>,
        took: &mut usize,
    ) -> Flushed {
        loop {
            if let Some(Unsent { bytes, untaken }) = self.unsent.take().map(|unsent| *unsent) {
                match self.write(&bytes, took) {
                    Flushed::Done => {}
                    stuck @ (Flushed::Full | Flushed::Broken | Flushed::GivenUp) => {
                        self.note_untaken(untaken);
                        return stuck;
                    }
                }
            }
            if self.takes_frames()
                && let Some(chunk) = writer.next_chunk(&mut self.state.context.standing, &mut next)
            {
                let written = self.write(&chunk, took);
                if written != Flushed::Done {
                    self.note_untaken(writer.untaken());
                    return written;
                }
                if writer.may_have_more() {
                    continue;
                }
            }
            if matches!(self.state.stage, Stage::Open | Stage::Ended) {
                return Flushed::Done;
            }
            self.state.stage = Stage::Ended;
            return self.write(&Bytes::from_static(LAST_CHUNK), took);
        }
    }

    /// Notes which publications are in the waiting bytes.
    fn note_untaken(&mut self, untaken: Untaken) {
        if let Some(unsent) = &mut self.unsent {
            unsent.untaken = untaken;
        }
    }

    fn takes_frames(&self) -> bool {
        matches!(self.state.stage, Stage::Open | Stage::Ending)
    }

    /// Writes a chunk while nothing is waiting. What the socket doesn't accept waits from then on.
    fn write(&mut self, chunk: &Bytes, took: &mut usize) -> Flushed {
        let mut written = 0;
        while written < chunk.len() {
            match self.transport.write(&chunk[written..]) {
                Ok(0) => return Flushed::Broken,
                Ok(bytes) => {
                    written += bytes;
                    *took += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent = Some(Box::new(Unsent {
                        bytes: chunk.slice(written..),
                        untaken: Untaken::default(),
                    }));
                    return Flushed::Full;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Flushed::of(&error),
            }
        }
        if let Err(error) = self.transport.flush() {
            // All bytes are handed over, but TLS still holds some of them.
            self.unsent = Some(Box::default());
            return Flushed::after(&error);
        }
        Flushed::Done
    }
}
