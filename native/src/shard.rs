//! The thread that owns a hub, its sockets and its clock.
//!
//! One loop: wait for sockets, commands or the hub's next deadline; feed the hub with what came; then write what is due
//! straight to the sockets that accept it. There is no task, no channel and no buffer per connection: while a socket
//! accepts no more, what is due to it stays in the hub's outbox, which conflates and sheds, until the kernel reports
//! that the socket is writable again.

mod bell;
mod command;
mod disconnects;
mod event_socket;
mod event_writer;
mod events;
mod guest;
mod incoming;
mod joiner;
mod latency;
mod leaving;
#[cfg(unix)]
mod lingerers;
mod local;
mod presence;
mod progress;
mod socket;
mod spread;
mod totals;
mod transport;
mod untaken;
mod upstream;
mod websocket;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant as HostInstant};

use mio::{Events, Poll, Token, Waker};
use tidegate_core::event_stream::EventStreamConfig;
use tidegate_core::hub::{ConnectionId, ServerHub, ServerOutput};
use tidegate_core::time::Instant;
use tidegate_core::timer::Timers;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::hub::Bodies;
use crate::json::Json;
use crate::uplink::Uplink;
pub use command::Stopped;
pub(crate) use command::{Command, CommandSender, Snapshot, TopicSeen};
pub(crate) use disconnects::DisconnectCommand;
use event_socket::EventSocket;
use event_writer::EventWriter;
pub(crate) use guest::Guest;
use guest::Questions;
use joiner::Joiner;
pub(crate) use latency::{BOUNDS_MICROS, Latency};
#[cfg(unix)]
use lingerers::Lingerers;
use local::LocalQueue;
pub(crate) use local::{ForClient, LocalReader, Opening};
pub(crate) use presence::PresenceCommand;
use progress::Listeners;
pub(crate) use progress::{PeerEvent, ProgressCommand};
use socket::{Flushed, Socket};
pub(crate) use totals::{CLOSE_REASONS, Totals};
pub(crate) use transport::Transport;
use upstream::Upstream;
use websocket::Intake;
#[cfg(feature = "fuzzing")]
pub(crate) use websocket::fuzz::websocket as fuzz_websocket;

/// The token of the waker; connections have their index.
const WAKER: Token = Token(usize::MAX);

/// The most commands between two rounds of writing: enough for bursts to leave in joined messages.
const COMMANDS_PER_ROUND: usize = 256;

/// The most bytes that one read takes from a socket.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// The limits and timings of sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketConfig {
    /// The most bytes that a client's message may have.
    pub(crate) frame_bytes_max: usize,
    /// Longer texts are compressed, for clients that support it.
    pub(crate) compress_above: Option<usize>,
    /// The timings of event streams.
    pub(crate) event_streams: EventStreamConfig,
}

/// The state of a shard's thread.
pub(crate) struct Shard {
    hub: ServerHub<Json>,
    poll: Poll,
    commands: Receiver<Command>,
    sender: CommandSender,
    /// By the index of the connection.
    endpoints: Vec<Option<Endpoint>>,
    /// Sockets with more to read than one round took.
    unread: Vec<ConnectionId>,
    started: HostInstant,
    /// When this round began: near enough for what is measured in seconds.
    round: Instant,
    joiner: Joiner,
    events: EventWriter,
    /// The deadlines of event streams, by the index of their connection.
    streams: Timers,
    intake: Intake,
    sockets: SocketConfig,
    is_stopping: bool,
    /// The link to where topics live, if not in this shard.
    upstream: Option<Upstream>,
    /// Progress trackers, which get the messages of other servers through this shard.
    listeners: Listeners,
    totals: Totals,
    /// The runtime on which questions about clients are answered; known from the first one on.
    runtime: Option<Handle>,
    questions: Questions,
    #[cfg(unix)]
    lingerers: Lingerers,
    _alive: watch::Sender<()>,
}

/// Where a connection's frames go.
struct Endpoint {
    id: ConnectionId,
    kind: EndpointKind,
}

enum EndpointKind {
    Socket(Socket),
    Events(EventSocket),
    Local(Arc<LocalQueue>),
}

impl Shard {
    /// Returns a shard that is not running yet, and the sender of its commands. `alive` is dropped with the shard.
    ///
    /// # Errors
    /// If the system provides no poll or waker.
    pub(crate) fn new(
        hub: ServerHub<Json>,
        sockets: SocketConfig,
        bodies: Arc<Bodies>,
        alive: watch::Sender<()>,
    ) -> io::Result<(Self, CommandSender)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (sender, commands) = CommandSender::new(waker);
        let shard = Self {
            hub,
            poll,
            commands,
            sender: sender.clone(),
            endpoints: Vec::new(),
            unread: Vec::new(),
            started: HostInstant::now(),
            round: Instant::ZERO,
            events: EventWriter::default(),
            streams: Timers::new(),
            joiner: Joiner::new(sockets.compress_above),
            intake: Intake::new(bodies),
            sockets,
            is_stopping: false,
            upstream: None,
            listeners: Listeners::default(),
            totals: Totals::default(),
            runtime: None,
            questions: Questions::default(),
            #[cfg(unix)]
            lingerers: Lingerers::default(),
            _alive: alive,
        };
        Ok((shard, sender))
    }

    /// Starts the thread, which runs until it is told to stop. `uplink` leads to where topics live, if that is
    /// elsewhere.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(crate) fn start(mut self, uplink: Option<Uplink>) -> io::Result<()> {
        self.upstream = uplink.map(Upstream::new);
        std::thread::Builder::new()
            .name("tidegate-shard".into())
            .spawn(move || self.run())?;
        Ok(())
    }

    fn run(&mut self) {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        while !self.is_stopping {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the shard cannot wait for its sockets, and stops");
                return;
            }
            self.sender.announce_waking();
            self.round = self.now();
            self.read_sockets(&events, &mut buffer);
            self.take_commands();
            // Drain before deadlines are handled: now, publications leave connection by connection, whereas a deadline
            // puts them into all outboxes first.
            self.drain();
            let now = self.now();
            if self.hub.poll_timeout().is_some_and(|at| at <= now) {
                self.hub.handle_timeout(now);
            }
            self.handle_streams(now);
            self.drain();
        }
        self.hub.handle_drain(self.now());
        self.drain();
        self.take_leave();
        self.hub.handle_shutdown(self.now());
        self.drain_upstream();
    }

    fn now(&self) -> Instant {
        self.at(HostInstant::now())
    }

    /// An instant of the host's clock, as the core knows it.
    fn at(&self, host: HostInstant) -> Instant {
        let since = host.saturating_duration_since(self.started);
        Instant::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long the loop may sleep.
    fn patience(&self) -> Option<Duration> {
        if !self.unread.is_empty() || !self.sender.may_sleep() {
            return Some(Duration::ZERO);
        }
        let deadlines = [self.hub.poll_timeout(), self.streams.poll_timeout()];
        let at = deadlines.into_iter().flatten().min()?;
        // If the system's timers count in milliseconds, the wait is rounded up: late, but no busy loop.
        Some(at.saturating_since(self.now()))
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_PER_ROUND {
            match self.commands.try_recv() {
                Ok(command) => {
                    self.sender.count_taken();
                    self.handle_command(command);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_stopping = true;
                    return;
                }
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Publish {
                request,
                accepted,
                reply,
            } => {
                self.totals.publishes += 1;
                self.publish(now, request, accepted, reply);
            }
            Command::Connect {
                transport,
                received,
                guest,
            } => self.connect(now, transport, &received, guest),
            Command::Authenticated {
                id,
                question,
                known,
            } => self.handle_answered(id, question, known),
            Command::Adopt(adoption) => self.adopt(now, *adoption),
            Command::OpenLocal(opening) => self.open_local(now, opening),
            Command::CancelOpening(token) => self.cancel_opening(token),
            Command::ResumeLocal(id) => self.flush(id),
            Command::CloseLocal(id) => self.close(id),
            Command::Flow {
                subscription,
                flow,
                reply,
            } => {
                let _ = reply.send(self.hub.handle_flow(now, subscription, flow));
            }
            Command::LookUp { lookup, reply } => self.look_up(now, lookup, reply),
            Command::Cursors { calls, reply } => {
                let _ = reply.send(self.hub.handle_cursor_calls(now, &calls));
            }
            Command::Announced(publication) => self.handle_announced(now, publication),
            Command::Missed => self.notice_missed(now),
            Command::Lost => self.hub.handle_lost(now),
            Command::Answered(id, answer) => self.hub.handle_answer(now, id, answer),
            Command::Presence(command) => self.handle_presence(now, command),
            Command::Progress(command) => self.handle_progress(command),
            Command::Disconnect(command) => self.handle_disconnect(now, command),
            Command::Claims { claims, bytes } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.count_broadcast_taken(bytes);
                }
                self.hub.handle_claims(now, claims);
            }
            Command::Snapshot { reply } => {
                let _ = reply.send(self.snapshot());
            }
            Command::Survey { most, reply } => {
                let _ = reply.send(self.survey(now, most));
            }
            Command::Drain => self.hub.handle_drain(now),
            Command::Stop => self.is_stopping = true,
        }
    }

    fn insert(&mut self, id: ConnectionId, kind: EndpointKind) {
        let index = id.index() as usize;
        if index >= self.endpoints.len() {
            self.endpoints.resize_with(index + 1, || None);
        }
        self.endpoints[index] = Some(Endpoint { id, kind });
    }

    fn endpoint(&mut self, id: ConnectionId) -> Option<&mut Endpoint> {
        self.endpoints
            .get_mut(id.index() as usize)?
            .as_mut()
            .filter(|endpoint| endpoint.id == id)
    }

    /// Carries out what the hub asks for, until it asks for nothing more.
    fn drain(&mut self) {
        let mut is_idle = false;
        while !is_idle {
            self.drain_upstream();
            is_idle = !self.look_at_tokens();
            is_idle &= !self.hand_over();
            // Handing over the last publication of a topic may have ended the interest in it, which becomes a call.
            is_idle &= !self.carry_out_calls();
        }
        self.joiner.forget();
        self.events.forget();
    }

    /// Carries out what the hub asks for with regard to connections, and returns whether there was anything.
    fn hand_over(&mut self) -> bool {
        let mut has_any = false;
        loop {
            let has_spread = self.spread();
            has_any |= has_spread;
            while let Some(output) = self.hub.poll_output() {
                has_any = true;
                match output {
                    ServerOutput::Ready(id) => self.flush(id),
                    ServerOutput::Close(id, reason) => self.finish(id, reason),
                }
            }
            if !has_spread {
                return has_any;
            }
        }
    }

    /// Writes what is waiting for a connection, as far as its socket accepts it.
    fn flush(&mut self, id: ConnectionId) {
        let Some(Some(endpoint)) = self.endpoints.get_mut(id.index() as usize) else {
            return;
        };
        if endpoint.id != id {
            return;
        }
        let hub = &mut self.hub;
        let flushed = match &mut endpoint.kind {
            EndpointKind::Socket(socket) => socket.flush(&mut self.joiner, || hub.poll_frame(id)),
            EndpointKind::Events(_) => return self.flush_events(id),
            EndpointKind::Local(queue) => {
                queue.fill(|| hub.poll_frame(id));
                Flushed::Done
            }
        };
        match flushed {
            Flushed::Done | Flushed::Full => {}
            Flushed::Broken | Flushed::GivenUp => {
                self.note_end(flushed);
                self.close(id);
            }
        }
    }
}
