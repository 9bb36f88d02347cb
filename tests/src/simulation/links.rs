//! The links between clients and servers: the frames in flight, their delays, and how links break.
//!
//! A link carries frames, as JSON text, in order, each direction with delays of its own; links don't wait for each other.

use core::time::Duration;

use tidegate_core::hub::ConnectionId;
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;

use super::System;
use crate::backend_model::Outward;
use crate::network::{Cut, Quality, decode_up, encode_down};

pub(super) type LinkId = usize;

/// The owner of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A program, and its number for the link.
    Program(usize, u32),
    /// A browser, and its socket.
    Browser(usize, usize),
}

/// One attempt at a connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) owner: Owner,
    pub(super) server: usize,
    pub(super) connection: Option<ConnectionId>,
    pub(super) quality: Quality,
    is_ready: bool,
    /// Nothing passes any more.
    pub(super) is_broken: bool,
    busy_until: Instant,
    /// Until then, frames that have arrived wait for a paused server.
    waits_until: Instant,
    /// When the last frame in flight arrives, in each direction: nothing overtakes it.
    last_up: Instant,
    last_down: Instant,
}

/// Something that happens on a link.
#[derive(Debug)]
pub(super) enum Event {
    Accepted(LinkId),
    Opened(LinkId),
    Up(LinkId, String),
    Down(LinkId, String),
    Pump(LinkId),
    ClosedAtServer(LinkId),
    ClosedAtClient(LinkId),
    /// A drained server ends.
    Ended(usize),
    /// The token function of a program, in one of its lives, has returned.
    Token(usize, usize, u32, Option<String>),
}

impl System {
    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    /// A random delay between half of this one and one and a half times.
    fn jitter(&mut self, delay: Duration) -> Duration {
        let micros = u64::try_from(delay.as_micros()).expect("short");
        Duration::from_micros(micros / 2 + self.random.up_to(micros))
    }

    /// A client opens a link, to any server.
    pub(super) fn open_link(&mut self, owner: Owner, quality: Quality) -> LinkId {
        let id = self.links.len();
        let last = self.world.servers.len() as u64 - 1;
        let server = usize::try_from(self.random.up_to(last)).expect("below a count");
        let accepted = self.now + self.jitter(quality.up);
        let opened = accepted + self.jitter(quality.down);
        let is_there = quality.is_reachable && self.world.servers[server].is_up;
        self.note(format_args!("{owner:?} opens link {id} to server {server}"));
        self.links.push(Link {
            owner,
            server,
            connection: None,
            quality,
            is_ready: false,
            is_broken: !is_there,
            busy_until: self.now,
            last_up: accepted,
            waits_until: self.now,
            last_down: opened,
        });
        if is_there {
            self.schedule(accepted, Event::Accepted(id));
            self.schedule(opened, Event::Opened(id));
        } else {
            self.schedule(opened, Event::ClosedAtClient(id));
        }
        id
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Accepted(link) | Event::Up(link, _) | Event::Pump(link)
                if self.links[link].is_broken =>
            {
                self.note(format_args!("link {link} loses {event:?}"));
            }
            Event::Accepted(link)
            | Event::Up(link, _)
            | Event::Pump(link)
            | Event::ClosedAtServer(link)
                if !self.world.runs(self.links[link].server) =>
            {
                // A server that is down has no links; a paused one handles everything when it goes on.
                let until = self.world.servers[self.links[link].server].paused_until;
                if until > self.now {
                    // The order is kept, even if the pause has been extended meanwhile.
                    let link = &mut self.links[link];
                    if link.waits_until <= self.now {
                        link.waits_until = until;
                    }
                    let at = link.waits_until;
                    self.schedule(at, event);
                }
            }
            Event::Accepted(link) => self.accept(link),
            Event::Opened(link) if !self.links[link].is_broken => self.tell_opened(link),
            Event::Down(link, text) if !self.links[link].is_broken => self.tell_frame(link, &text),
            Event::Opened(_) | Event::Down(..) => {}
            Event::Up(link, text) => self.arrive_up(link, &text),
            Event::Pump(link) => self.pump(link),
            Event::ClosedAtServer(link) => self.forget_connection(link),
            Event::ClosedAtClient(link) => self.tell_closed(link),
            Event::Ended(server) => self.end_server(server),
            Event::Token(program, life, request, token) => {
                self.give_token(program, life, request, token);
            }
        }
    }

    fn accept(&mut self, link: LinkId) {
        let server = self.links[link].server;
        let connection = self.world.open_remote(server);
        self.links[link].connection = Some(connection);
        self.by_connection.insert((server, connection), link);
    }

    fn tell_opened(&mut self, link: LinkId) {
        match self.links[link].owner {
            Owner::Program(program, number) => self.program_opened(program, number),
            Owner::Browser(browser, socket) => self.browsers[browser].browser.socket_opened(socket),
        }
    }

    fn tell_frame(&mut self, link: LinkId, text: &str) {
        self.stats.frames += 1;
        let owner = self.links[link].owner;
        self.note(format_args!("{owner:?} over {link} < {text}"));
        match owner {
            Owner::Program(program, number) => self.program_frame(program, number, text),
            Owner::Browser(browser, socket) => {
                self.browsers[browser].browser.arrive_down(socket, text);
            }
        }
    }

    fn tell_closed(&mut self, link: LinkId) {
        match self.links[link].owner {
            Owner::Program(program, number) => self.program_closed(program, number),
            Owner::Browser(browser, socket) => self.browsers[browser].browser.socket_closed(socket),
        }
    }

    /// A client sends a frame.
    pub(super) fn send_up(&mut self, link: LinkId, text: String) {
        let delay = self.jitter(self.links[link].quality.up);
        let state = &mut self.links[link];
        state.last_up = state.last_up.max(self.now + delay);
        let at = state.last_up;
        self.schedule(at, Event::Up(link, text));
    }

    fn arrive_up(&mut self, link: LinkId, text: &str) {
        self.stats.frames += 1;
        let Link {
            owner,
            server,
            connection,
            ..
        } = self.links[link];
        self.note(format_args!("{owner:?} over {link} > {text}"));
        if let Some(connection) = connection {
            self.world.say_remote(server, connection, decode_up(text));
        }
    }

    pub(super) fn handle_world(&mut self, outward: Outward) {
        let (server, connection) = outward.connection();
        let Some(link) = self.by_connection.get(&(server, connection)).copied() else {
            return self.world.close_remote(server, connection);
        };
        match outward {
            Outward::Ready(..) => {
                self.links[link].is_ready = true;
                self.pump(link);
            }
            Outward::Send(_, _, frame) => self.send_down(link, encode_down(&frame)),
            Outward::Close(_, _, reason) => self.close_from_server(link, reason),
        }
    }

    /// Sends what waits at the server, as far as the transport accepts it.
    fn pump(&mut self, link: LinkId) {
        let server = self.links[link].server;
        while self.links[link].is_ready && self.links[link].busy_until <= self.now {
            let Some(connection) = self.links[link].connection else {
                return;
            };
            self.check_outbox(server, connection);
            let Some(frame) = self.world.servers[server].hub.poll_frame(connection) else {
                self.links[link].is_ready = false;
                break;
            };
            self.send_down(link, encode_down(&frame));
        }
        self.world.settle(server);
    }

    fn send_down(&mut self, link: LinkId, text: String) {
        let delay = self.jitter(self.links[link].quality.down);
        let now = self.now;
        let state = &mut self.links[link];
        state.last_down = state.last_down.max(now + delay);
        let at = state.last_down;
        let per_frame = state.quality.per_frame;
        if per_frame > Duration::ZERO {
            let until = now + per_frame;
            state.busy_until = until;
            if let Some(connection) = state.connection {
                self.world.note_busy(state.server, connection, until);
            }
            self.schedule(until, Event::Pump(link));
        }
        self.schedule(at, Event::Down(link, text));
    }

    /// A link breaks: everything in flight is lost.
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
    pub(super) fn close_from_client(&mut self, link: LinkId) {
        if !self.links[link].is_broken {
            let delay = self.jitter(self.links[link].quality.up);
            let at = self.links[link].last_up.max(self.now + delay);
            self.schedule(at, Event::ClosedAtServer(link));
        }
    }

    /// The server closes, after what waits has been sent; a consumer that is too slow gets nothing more.
    fn close_from_server(&mut self, link: LinkId, reason: CloseReason) {
        self.note(format_args!("server closes link {link}: {reason:?}"));
        let server = self.links[link].server;
        if reason != CloseReason::SlowConsumer
            && let Some(connection) = self.links[link].connection
        {
            while let Some(frame) = self.world.servers[server].hub.poll_frame(connection) {
                self.send_down(link, encode_down(&frame));
            }
        }
        self.forget_connection(link);
        if !self.links[link].is_broken {
            let at = self.links[link].last_down.max(self.now);
            self.schedule(at, Event::ClosedAtClient(link));
        }
    }

    fn forget_connection(&mut self, link: LinkId) {
        if let Some(connection) = self.links[link].connection.take() {
            let server = self.links[link].server;
            self.by_connection.remove(&(server, connection));
            self.world.close_remote(server, connection);
        }
    }

    /// A server is gone, with all links to it. Their clients are told soon, or never.
    pub(super) fn break_links_of(&mut self, server: usize) {
        for link in 0..self.links.len() {
            if self.links[link].server == server {
                self.links[link].connection = None;
                let learns = self.pick(3) > 0;
                let cut = if learns {
                    Cut::ServerUnaware
                } else {
                    Cut::Silent
                };
                self.cut_link(link, cut);
            }
        }
        self.by_connection.retain(|(other, _), _| *other != server);
    }

    /// The open links, in the order in which they were opened.
    pub(super) fn standing(&self) -> Vec<LinkId> {
        let links = self.links.iter().enumerate();
        links
            .filter(|(_, link)| !link.is_broken && link.connection.is_some())
            .map(|(id, _)| id)
            .collect()
    }
}
