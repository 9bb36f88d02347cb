//! Connections within the process: in-process streams and Server-Sent Events responses.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant as HostInstant;

use futures_core::Stream;
use futures_util::task::AtomicWaker;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::hub::{ConnectionId, SubscribeError, SubscriptionId};
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::{ServerFrame, Start};
use tidegate_core::topic::{Pattern, Topic};
use tokio::sync::oneshot;

use super::command::{Command, CommandSender};
use super::untaken::Untaken;
use crate::json::Json;

/// How many frames are queued ahead of the reader; further ones wait in the hub's outbox, where they are conflated.
const AHEAD_MAX: usize = 64;

/// No more frames are queued ahead once their payloads have this many bytes.
const AHEAD_BYTES: usize = 64 * 1024;

/// A request for a local connection with its subscriptions.
pub(crate) struct Opening {
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) flow: Flow,
    pub(crate) start: Start,
    pub(crate) outbox_bytes_max: usize,
    pub(crate) slow: Option<Slow>,
    /// Set if it is on behalf of a client elsewhere.
    pub(crate) client: Option<ForClient>,
    /// Identifies the request if it is cancelled.
    pub(crate) token: u64,
    pub(crate) reply: oneshot::Sender<Opened>,
}

/// On whose behalf a stream is opened.
#[derive(Clone, Debug)]
pub(crate) struct ForClient {
    /// Who the client is, if known,
    pub(crate) user: Option<Arc<str>>,
    /// and when that was asked.
    pub(crate) asked: HostInstant,
    /// The name under which its cursors are kept, if any are.
    pub(crate) device: Option<DurableName>,
    /// A room that it gets in addition, without having asked, from now on and as long as it lasts. None of the patterns matches it.
    pub(crate) room: Option<Topic>,
}

/// The outcome of an opening.
pub(crate) type Opened = Result<(LocalReader, Vec<SubscriptionId>), SubscribeError>;

/// The shard's end of the queue of a local connection.
pub(crate) struct LocalQueue {
    state: Mutex<State>,
    reader: AtomicWaker,
}

#[derive(Default)]
struct State {
    frames: VecDeque<ServerFrame<Json>>,
    /// The bytes of the frames' payloads.
    bytes: usize,
    /// More may be waiting in the outbox, so the shard has to be told when there is room.
    is_full: bool,
    /// The shard has been told, and will fill up again.
    is_resuming: bool,
    is_finished: bool,
}

impl State {
    fn push(&mut self, frame: ServerFrame<Json>) {
        self.bytes += payload_bytes(&frame);
        self.frames.push_back(frame);
    }

    fn pop(&mut self) -> Option<ServerFrame<Json>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= payload_bytes(&frame);
        Some(frame)
    }

    /// Whether refilling is worth it.
    fn is_half_empty(&self) -> bool {
        self.frames.len() <= AHEAD_MAX / 2 && self.bytes <= AHEAD_BYTES / 2
    }
}

/// The bytes of the publications in a frame. All else is small.
pub(super) fn payload_bytes(frame: &ServerFrame<Json>) -> usize {
    if let ServerFrame::Publication { publication, .. } | ServerFrame::Delta { publication, .. } =
        frame
    {
        publication.payload.size()
    } else if let ServerFrame::Batch { items, .. } = frame {
        items.iter().map(|item| item.payload.size()).sum()
    } else {
        0
    }
}

impl LocalQueue {
    pub(super) fn new(id: ConnectionId, commands: CommandSender) -> (Arc<Self>, LocalReader) {
        let queue = Arc::new(Self {
            state: Mutex::default(),
            reader: AtomicWaker::new(),
        });
        let reader = LocalReader {
            queue: Arc::clone(&queue),
            id,
            commands,
            is_given_up: false,
        };
        (queue, reader)
    }

    /// Queues frames until there are none or there is no more room.
    pub(super) fn fill(&self, mut next: impl FnMut() -> Option<ServerFrame<Json>>) {
        let mut state = self.lock();
        state.is_full = false;
        state.is_resuming = false;
        loop {
            if state.frames.len() >= AHEAD_MAX || state.bytes >= AHEAD_BYTES {
                state.is_full = true;
                break;
            }
            match next() {
                Some(frame) => state.push(frame),
                None => break,
            }
        }
        drop(state);
        self.reader.wake();
    }

    /// Queues all frames that are left, because nobody can ask for them later. The outbox's limit bounds them.
    pub(super) fn fill_up(&self, next: impl FnMut() -> Option<ServerFrame<Json>>) {
        let mut state = self.lock();
        state.is_full = false;
        std::iter::from_fn(next).for_each(|frame| state.push(frame));
    }

    /// Takes out everything that the reader has not read, for a new writer, and returns whether that is the end.
    pub(super) fn take_all(&self) -> (Vec<ServerFrame<Json>>, bool) {
        let mut state = self.lock();
        state.bytes = 0;
        (std::mem::take(&mut state.frames).into(), state.is_finished)
    }

    /// Whether the reader lags by more than is queued ahead.
    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full
    }

    /// What the reader has not read.
    pub(super) fn untaken(&self) -> Untaken {
        Untaken::in_frames(self.lock().frames.iter())
    }

    /// Marks the end: nothing follows what is already queued.
    pub(super) fn finish(&self) {
        self.lock().is_finished = true;
        self.reader.wake();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader's end: the frames of a local connection. Dropping it ends its subscriptions.
pub(crate) struct LocalReader {
    queue: Arc<LocalQueue>,
    id: ConnectionId,
    commands: CommandSender,
    /// Whether the connection continues without this reader.
    is_given_up: bool,
}

impl LocalReader {
    /// The connection that it reads.
    pub(crate) const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The channel to its shard.
    pub(crate) const fn commands(&self) -> &CommandSender {
        &self.commands
    }

    /// Returns the next frame, if there is one already. `Ready(None)` at the end.
    pub(crate) fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<ServerFrame<Json>>> {
        self.queue.reader.register(context.waker());
        let mut state = self.queue.lock();
        let frame = state.pop();
        if state.is_full && !state.is_resuming && state.is_half_empty() {
            // If the shard has stopped, nothing more follows.
            state.is_resuming = self.commands.send(Command::ResumeLocal(self.id)).is_ok();
            state.is_full = state.is_resuming;
        }
        match frame {
            Some(frame) => Poll::Ready(Some(frame)),
            None if state.is_finished && !state.is_full => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Leaves the connection to its shard, which learns of it by the command. If the shard has stopped, everything in the command is
    /// dropped.
    pub(crate) fn give_up(mut self, command: impl FnOnce(ConnectionId) -> Command) {
        self.is_given_up = true;
        let _ = self.commands.send(command(self.id));
    }

    /// The frames that are here already.
    pub(crate) fn waiting(&self) -> Vec<ServerFrame<Json>> {
        self.queue.lock().frames.iter().cloned().collect()
    }
}

impl Stream for LocalReader {
    type Item = ServerFrame<Json>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_frame(context)
    }
}

impl Drop for LocalReader {
    fn drop(&mut self) {
        if !self.is_given_up {
            // If the shard has stopped, there is nothing left to close.
            let _ = self.commands.send(Command::CloseLocal(self.id));
        }
    }
}
