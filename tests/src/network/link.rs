//! The links of a network: the frames in flight, and how links break.

use core::time::Duration;

use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::{ClientFrame, ServerFrame};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;

use super::{Network, decode_down, decode_up, encode_down, encode_up};
use crate::json::Json;

/// The quality of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// The delay of a frame to the server.
    pub up: Duration,
    /// The delay of a frame to the client.
    pub down: Duration,
    /// How long the server's transport is busy with each frame; the others wait in the outbox.
    pub per_frame: Duration,
    /// Whether a connection can be opened at all.
    pub is_reachable: bool,
}

impl Quality {
    /// The same delay both ways, and a transport that takes everything at once.
    pub const fn delayed(delay: Duration) -> Self {
        Self {
            up: delay,
            down: delay,
            per_frame: Duration::ZERO,
            is_reachable: true,
        }
    }
}

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How a link breaks. Everything in flight is lost, and everything that is sent over it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends learn of it.
    Both,
    /// Only the server learns of it.
    ClientUnaware,
    /// Only the client learns of it: when it connects again, the server has two connections with it.
    ServerUnaware,
    /// Nobody learns of it.
    Silent,
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Both,
        Self::ClientUnaware,
        Self::ServerUnaware,
        Self::Silent,
    ];
}

/// A break that happens at a certain frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose link breaks.
    pub peer: usize,
    /// The direction of the frame that is lost first.
    pub direction: Direction,
    /// How many frames in this direction arrive before it.
    pub after: u64,
    /// How it breaks.
    pub cut: Cut,
}

pub(super) type LinkId = usize;

/// One attempt at a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: usize,
    /// The client's number for it.
    number: u32,
    quality: Quality,
    connection: Option<ConnectionId>,
    pub(super) is_ready: bool,
    is_broken: bool,
    /// Until when the server's transport is busy.
    busy_until: Instant,
    /// When the last frame in flight arrives, in each direction: nothing overtakes it.
    last_up: Instant,
    last_down: Instant,
    ups: u64,
    downs: u64,
    /// What was sent to the client.
    pub(super) sent: Sent,
}

/// How much was sent to a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames.
    pub frames: u64,
    /// Those of them that are deltas, rather than whole values.
    pub deltas: u64,
    /// The bytes of their text.
    pub bytes: u64,
}

impl std::ops::Sub for Sent {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            frames: self.frames - other.frames,
            deltas: self.deltas - other.deltas,
            bytes: self.bytes - other.bytes,
        }
    }
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.deltas += other.deltas;
        self.bytes += other.bytes;
    }
}

impl Link {
    pub(super) const fn delivered(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.ups,
            Direction::Down => self.downs,
        }
    }
}

/// Something that happens on a link.
#[derive(Debug)]
pub(super) enum Event {
    /// The server accepts the connection.
    Accepted(LinkId),
    /// The client learns that it is open.
    Opened(LinkId),
    /// A frame reaches the server.
    Up(LinkId, String),
    /// A frame reaches the client.
    Down(LinkId, String),
    /// The server's transport is free again.
    Pump(LinkId),
    /// The server learns that the connection is gone.
    ClosedAtServer(LinkId),
    /// The client learns that the connection is gone.
    ClosedAtClient(LinkId),
}

impl Network {
    fn schedule(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    pub(super) fn open_link(&mut self, peer: usize, number: u32) {
        let quality = self.peers[peer].quality;
        let id = self.links.len();
        let accepted = self.now + quality.up;
        let opened = accepted + quality.down;
        self.links.push(Link {
            peer,
            number,
            quality,
            connection: None,
            is_ready: false,
            is_broken: false,
            busy_until: self.now,
            last_up: accepted,
            last_down: opened,
            ups: 0,
            downs: 0,
            sent: Sent::default(),
        });
        self.peers[peer].link = Some(id);
        if quality.is_reachable {
            self.schedule(accepted, Event::Accepted(id));
            self.schedule(opened, Event::Opened(id));
        } else {
            self.schedule(opened, Event::ClosedAtClient(id));
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Accepted(link) => {
                if !self.links[link].is_broken {
                    let connection = self.server.handle_open(self.now);
                    self.links[link].connection = Some(connection);
                    self.by_connection.insert(connection, link);
                }
            }
            Event::Opened(link) => {
                if !self.links[link].is_broken {
                    let Link { peer, number, .. } = self.links[link];
                    self.peers[peer].hub.handle_opened(self.now, number);
                }
            }
            Event::Up(link, text) => self.arrive_up(link, &text),
            Event::Down(link, text) => self.arrive_down(link, &text),
            Event::Pump(link) => self.pump(link),
            Event::ClosedAtServer(link) => self.forget_connection(link),
            Event::ClosedAtClient(link) => {
                let Link { peer, number, .. } = self.links[link];
                self.peers[peer].hub.handle_closed(self.now, number);
            }
        }
    }

    pub(super) fn send_up(&mut self, peer: usize, frame: &ClientFrame<Json>) {
        let link = self.peers[peer]
            .link
            .expect("nothing is sent without a link");
        let text = encode_up(frame);
        let state = &mut self.links[link];
        state.last_up = state.last_up.max(self.now + state.quality.up);
        let at = state.last_up;
        self.schedule(at, Event::Up(link, text));
    }

    fn arrive_up(&mut self, link: LinkId, text: &str) {
        if !self.survives(link, Direction::Up) {
            return;
        }
        let peer = self.links[link].peer;
        self.note(format_args!("{peer} over {link} > {text}"));
        if let Some(connection) = self.links[link].connection {
            self.server
                .handle_frame(self.now, connection, decode_up(text));
        }
    }

    fn arrive_down(&mut self, link: LinkId, text: &str) {
        if !self.survives(link, Direction::Down) {
            return;
        }
        let Link { peer, number, .. } = self.links[link];
        self.note(format_args!("{peer} over {link} < {text}"));
        let frame = decode_down(text);
        if let ServerFrame::Subscribed { pattern, .. } = &frame {
            let key = (peer, pattern.clone());
            self.confirmed.entry(key).or_insert(self.now);
        }
        self.peers[peer].hub.handle_frame(self.now, number, frame);
    }

    /// Whether a frame that would arrive now does: not over a broken link, and not if the link breaks at this frame.
    fn survives(&mut self, link: LinkId, direction: Direction) -> bool {
        if self.links[link].is_broken {
            return false;
        }
        let peer = self.links[link].peer;
        let arrived = self.frames(peer, direction);
        if let Some(fault) = self.fault
            && fault.peer == peer
            && fault.direction == direction
            && fault.after <= arrived
        {
            self.fault = None;
            self.cut_link(link, fault.cut);
            return false;
        }
        match direction {
            Direction::Up => self.links[link].ups += 1,
            Direction::Down => self.links[link].downs += 1,
        }
        true
    }

    /// Sends what waits at the server, as far as the transport accepts it.
    pub(super) fn pump(&mut self, link: LinkId) {
        while self.links[link].is_ready && self.links[link].busy_until <= self.now {
            let Some(connection) = self.links[link].connection else {
                return;
            };
            let Some(frame) = self.server.poll_frame(connection) else {
                self.links[link].is_ready = false;
                return;
            };
            self.send_down(link, &frame);
        }
    }

    fn send_down(&mut self, link: LinkId, frame: &ServerFrame<Json>) {
        let text = encode_down(frame);
        let now = self.now;
        let state = &mut self.links[link];
        state.sent += Sent {
            frames: 1,
            deltas: u64::from(matches!(frame, ServerFrame::Delta { .. })),
            bytes: text.len() as u64,
        };
        state.last_down = state.last_down.max(now + state.quality.down);
        let at = state.last_down;
        let per_frame = state.quality.per_frame;
        if per_frame > Duration::ZERO {
            state.busy_until = now + per_frame;
            self.schedule(now + per_frame, Event::Pump(link));
        }
        self.schedule(at, Event::Down(link, text));
    }

    pub(super) fn cut_link(&mut self, link: LinkId, cut: Cut) {
        if self.links[link].is_broken {
            return;
        }
        self.note(format_args!("link {link} breaks: {cut:?}"));
        self.links[link].is_broken = true;
        if matches!(cut, Cut::Both | Cut::ClientUnaware) {
            self.schedule(self.now, Event::ClosedAtServer(link));
        }
        if matches!(cut, Cut::Both | Cut::ServerUnaware) {
            self.schedule(self.now, Event::ClosedAtClient(link));
        }
    }

    /// The client closes: the server learns of it after everything that was sent before.
    pub(super) fn close_from_client(&mut self, peer: usize, number: u32) {
        let is_it = |link: &Link| link.peer == peer && link.number == number;
        let Some(link) = self.links.iter().rposition(is_it) else {
            return;
        };
        if !self.links[link].is_broken {
            let state = &self.links[link];
            let at = state.last_up.max(self.now + state.quality.up);
            self.schedule(at, Event::ClosedAtServer(link));
        }
    }

    /// The server closes, after what waits has been sent; a consumer that is too slow gets nothing more.
    pub(super) fn close_from_server(&mut self, link: LinkId, reason: CloseReason) {
        if reason != CloseReason::SlowConsumer
            && let Some(connection) = self.links[link].connection
        {
            while let Some(frame) = self.server.poll_frame(connection) {
                self.send_down(link, &frame);
            }
        }
        self.forget_connection(link);
        if !self.links[link].is_broken {
            let state = &self.links[link];
            let at = state.last_down.max(self.now + state.quality.down);
            self.schedule(at, Event::ClosedAtClient(link));
        }
    }

    fn forget_connection(&mut self, link: LinkId) {
        if let Some(connection) = self.links[link].connection.take() {
            self.by_connection.remove(&connection);
            self.server.handle_closed(self.now, connection);
        }
    }
}
