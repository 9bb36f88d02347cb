//! One event stream on its socket: chunks out, as far as the kernel takes them. What its client says is not listened to,
//! but that it closes.

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
use crate::event_stream::{ALIVE, LAST_CHUNK, OPENING, Told, chunk};
use crate::json::Json;

/// What a client may send although nobody listens: a request that follows too early, say.
const IGNORED_BYTES_MAX: usize = 64 * 1024;

/// An event stream and its connection.
pub(super) struct EventSocket {
    transport: Transport,
    /// Boxed, because most have nothing that waits, and there are many of them.
    unsent: Option<Box<Unsent>>,
    state: Box<State>,
}

/// What is left of the chunk that the socket took in part, and the publications in it.
#[derive(Default)]
struct Unsent {
    bytes: Bytes,
    untaken: Untaken,
}

struct State {
    told: Told,
    deadlines: EventStream,
    stage: Stage,
    ignored_bytes: usize,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// What waits, here and at the hub, is the last there is.
    Ending,
    /// What waits here is the last: its reader is told nothing further.
    Expiring,
    /// The end itself has been written, or waits.
    Ended,
}

/// How far writing came, and the stream's next deadline where that has come closer.
pub(super) struct Progress {
    pub(super) flushed: Flushed,
    pub(super) sooner: Option<Instant>,
}

impl EventSocket {
    /// A stream that begins with the head of its response and what its reader was to be told.
    pub(super) fn new(
        now: Instant,
        transport: Transport,
        head: Vec<u8>,
        mut told: Told,
        frames: &[ServerFrame<Json>],
        writer: &mut EventWriter,
    ) -> Self {
        let ends = told.ends_in().map(|left| now + left);
        let deadlines = EventStream::new(now, told.deadlines, ends);
        let mut start = head;
        start.extend(chunk(Vec::new(), |out| out.extend_from_slice(OPENING)).unwrap_or_default());
        let untaken = Untaken::in_frames(frames.iter());
        let mut frames = frames.iter().cloned();
        while let Some(chunk) = writer.next_chunk(&mut told.standing, || frames.next()) {
            start.extend_from_slice(&chunk);
        }
        Self {
            transport,
            unsent: Some(Box::new(Unsent {
                bytes: start.into(),
                untaken,
            })),
            state: Box::new(State {
                told,
                deadlines,
                stage: Stage::Open,
                ignored_bytes: 0,
            }),
        }
    }

    /// Watches the socket, edge by edge.
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

    /// A deadline was reached; says whether the stream ends or its reader is given up.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<EventStreamOutput> {
        self.state.deadlines.handle_timeout(now);
        let output = self.state.deadlines.poll_output()?;
        if output == EventStreamOutput::SayAlive && self.state.stage == Stage::Open {
            let alive = chunk(Vec::new(), |out| out.extend_from_slice(ALIVE));
            let mut took = 0;
            // A socket that is gone says so by an event of its own.
            if self.write(&alive.unwrap_or_default(), &mut took) == Flushed::Full {
                self.state.deadlines.handle_stalled(now, took > 0);
            }
        }
        Some(output)
    }

    /// Nothing further will come: once what waits has been written, the response ends.
    pub(super) fn end(&mut self) {
        if self.state.stage == Stage::Open {
            self.state.stage = Stage::Ending;
        }
    }

    /// Its reader's time is over: once what has been begun is written, the response ends.
    pub(super) fn expire(&mut self) {
        if self.state.stage != Stage::Ended {
            self.state.stage = Stage::Expiring;
        }
    }

    /// Whether everything has been written, the end included.
    pub(super) fn is_over(&self) -> bool {
        self.state.stage == Stage::Ended && self.unsent.is_none()
    }

    /// Whether it has not taken what it was given.
    pub(super) const fn is_stuck(&self) -> bool {
        self.unsent.is_some()
    }

    /// The publications that it has not taken.
    pub(super) fn untaken(&self) -> &[(Topic, Position)] {
        let unsent = self.unsent.as_ref();
        unsent.map_or(&[], |unsent| unsent.untaken.positions())
    }

    /// Reads what its client sends; says how the connection ended, where it did.
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

    /// Writes `next`'s frames until there are none or the socket takes no more.
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
                && let Some(chunk) = writer.next_chunk(&mut self.state.told.standing, &mut next)
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

    /// What is in the bytes that wait.
    fn note_untaken(&mut self, untaken: Untaken) {
        if let Some(unsent) = &mut self.unsent {
            unsent.untaken = untaken;
        }
    }

    fn takes_frames(&self) -> bool {
        matches!(self.state.stage, Stage::Open | Stage::Ending)
    }

    /// Writes a chunk where nothing waits; what the socket does not take waits from then on.
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
            // Nothing of it is left to write, but it isn't over either.
            self.unsent = Some(Box::default());
            return Flushed::after(&error);
        }
        Flushed::Done
    }
}
