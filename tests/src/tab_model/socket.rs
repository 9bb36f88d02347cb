//! The sockets of a browser: in order each way, lost with the network, silent while their page sleeps.

use core::time::Duration;

use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::{ClientEnvelope, ClientFrame, ServerEnvelope, ServerFrame};
use tidegate_core::time::Instant;

use super::{Browser, Event, Life};
use crate::json::Json;

/// Names a socket of a browser. Never used twice.
pub type SocketId = usize;

/// An action to be taken for a socket.
#[derive(Debug)]
pub enum Outward {
    /// Open it, if the network is up.
    Open(SocketId),
    /// Send a frame.
    Send(SocketId, String),
    /// The page has closed it.
    Close(SocketId),
    /// Nothing passes over it any more.
    Broken(SocketId),
}

/// One socket of a page.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) page: usize,
    link: u32,
    connection: Option<ConnectionId>,
    /// Nothing passes in either direction any more.
    is_broken: bool,
    /// The page has closed it, or was told that it is closed.
    pub(super) is_over: bool,
    last_up: Instant,
    last_down: Instant,
}

impl Browser {
    pub(super) fn open_socket(&mut self, page: usize, link: u32) {
        let id = self.sockets.len();
        let accepted = self.now + self.delay(4_000, 15_000);
        let opened = accepted + self.delay(4_000, 15_000);
        self.sockets.push(Socket {
            page,
            link,
            connection: None,
            is_broken: !self.is_network_up,
            is_over: false,
            last_up: accepted,
            last_down: opened,
        });
        if self.is_network_up && self.is_part {
            self.outward.push_back(Outward::Open(id));
        } else if self.is_network_up {
            self.schedule(accepted, Event::Accepted(id));
            self.schedule(opened, Event::Opened(id));
        } else {
            self.schedule(opened, Event::ClosedAtPage(id));
        }
    }

    fn current(&self, page: usize) -> Option<SocketId> {
        let is_it = |socket: &Socket| socket.page == page && !socket.is_over;
        self.sockets.iter().rposition(is_it)
    }

    pub(super) fn has_socket(&self, page: usize) -> bool {
        self.current(page).is_some()
    }

    pub(super) fn accept(&mut self, id: SocketId) {
        if !self.sockets[id].is_broken {
            let connection = self.open_connection();
            self.sockets[id].connection = Some(connection);
            self.by_connection.insert(connection, id);
        }
    }

    /// Whether the page learns of the socket's events. Those that come while it sleeps are lost, and so is the socket
    /// when it wakes up; until then, the server sees it open.
    fn hears(&self, id: SocketId) -> bool {
        let socket = &self.sockets[id];
        !socket.is_over && !socket.is_broken && self.pages[socket.page].life == Life::Awake
    }

    /// A socket is open.
    pub fn socket_opened(&mut self, id: SocketId) {
        if self.hears(id) {
            let Socket { page, link, .. } = self.sockets[id];
            let now = self.now;
            self.drive(page, |machine| machine.handle_uplink_opened(now, link));
        }
    }

    /// A socket is closed by its other end, or can't be opened.
    pub fn socket_closed(&mut self, id: SocketId) {
        let Socket {
            page,
            link,
            is_over,
            ..
        } = self.sockets[id];
        if is_over || self.pages[page].life == Life::Gone {
            return;
        }
        if self.pages[page].life != Life::Awake {
            self.pages[page].postponed.push(Event::ClosedAtPage(id));
            return;
        }
        self.sockets[id].is_over = true;
        let now = self.now;
        self.drive(page, |machine| machine.handle_uplink_closed(now, link));
    }

    pub(super) fn send_up(&mut self, page: usize, frame: &ClientFrame<Json>) {
        let Some(id) = self.current(page) else {
            panic!("page {page} sends over no socket: {frame:?}");
        };
        let text = serde_json::to_string(&ClientEnvelope::from(frame)).expect("frames are JSON");
        if self.is_part {
            return self.outward.push_back(Outward::Send(id, text));
        }
        let at = self.now + self.delay(4_000, 15_000);
        let socket = &mut self.sockets[id];
        socket.last_up = socket.last_up.max(at);
        let at = socket.last_up;
        self.schedule(at, Event::Up(id, text));
    }

    pub(super) fn arrive_up(&mut self, id: SocketId, text: &str) {
        if let Some(connection) = self.sockets[id].connection
            && !self.sockets[id].is_broken
        {
            let page = self.sockets[id].page;
            self.note(format_args!("{page} over {id} > {text}"));
            let envelope: ClientEnvelope<Json> = serde_json::from_str(text).expect("JSON");
            let frame = ClientFrame::try_from(envelope).expect("a correct frame");
            self.server.handle_frame(self.now, connection, frame);
            self.look_at_tokens();
        }
    }

    pub(super) fn pump(&mut self, id: SocketId) {
        let Some(connection) = self.sockets[id].connection else {
            return;
        };
        while let Some(frame) = self.server.poll_frame(connection) {
            let text = serde_json::to_string(&ServerEnvelope::from(&frame)).expect("JSON");
            let at = self.now + self.delay(4_000, 15_000);
            let socket = &mut self.sockets[id];
            socket.last_down = socket.last_down.max(at);
            let at = socket.last_down;
            self.schedule(at, Event::Down(id, text));
        }
    }

    /// A frame of the server arrives.
    pub fn arrive_down(&mut self, id: SocketId, text: &str) {
        if !self.hears(id) {
            return;
        }
        let Socket { page, link, .. } = self.sockets[id];
        self.note(format_args!("{page} over {id} < {text}"));
        let envelope: ServerEnvelope<Json> = serde_json::from_str(text).expect("JSON");
        let frame = ServerFrame::try_from(envelope).expect("a correct frame");
        let now = self.now;
        self.drive(page, |machine| {
            machine.handle_uplink_frame(now, link, frame);
        });
    }

    /// The page closes: the server learns of it after everything that was sent before.
    pub(super) fn close_socket(&mut self, page: usize, link: u32) {
        let is_it = |socket: &Socket| (socket.page, socket.link) == (page, link);
        if let Some(id) = self.sockets.iter().rposition(is_it) {
            let socket = &mut self.sockets[id];
            socket.is_over = true;
            let at = socket.last_up.max(self.now + Duration::from_millis(5));
            if self.is_part {
                self.outward.push_back(Outward::Close(id));
            } else if !socket.is_broken {
                self.schedule(at, Event::ClosedAtServer(id));
            }
        }
    }

    /// The server closes, after what waits has been sent.
    pub(super) fn close_from_server(&mut self, id: SocketId) {
        self.pump(id);
        self.forget_connection(id);
        if !self.sockets[id].is_broken {
            let at = self.sockets[id].last_down;
            self.schedule(at, Event::ClosedAtPage(id));
        }
    }

    /// A socket breaks. The server is told, and possibly the page.
    pub(super) fn break_socket(&mut self, id: SocketId, page_learns: bool) {
        let socket = &mut self.sockets[id];
        if !core::mem::replace(&mut socket.is_broken, true) {
            if self.is_part {
                self.outward.push_back(Outward::Broken(id));
            } else {
                self.schedule(self.now, Event::ClosedAtServer(id));
            }
            if page_learns {
                self.schedule(self.now, Event::ClosedAtPage(id));
            }
        }
    }

    pub(super) fn forget_connection(&mut self, id: SocketId) {
        if let Some(connection) = self.sockets[id].connection.take() {
            self.by_connection.remove(&connection);
            self.server.handle_closed(self.now, connection);
        }
    }
}
