//! New WebSockets, and what their clients send.

use mio::Token;
use mio::event::Events;
use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::ClientFrame;
use tidegate_core::time::Instant;

use super::socket::{Flushed, Read, Socket};
use super::transport::Transport;
use super::{Endpoint, EndpointKind, Guest, Shard};
use crate::access::Known;

impl Shard {
    pub(super) fn connect(
        &mut self,
        now: Instant,
        transport: Transport,
        received: &[u8],
        guest: Guest,
    ) {
        self.totals.accepted += 1;
        let access = guest.access(now, self.at(guest.asked));
        let id = self.hub.handle_open_as(now, &access);
        let frame_bytes_max = self.sockets.frame_bytes_max;
        let mut socket = Socket::new(transport, frame_bytes_max, guest.deflates, guest.pass);
        socket.note_stranger(matches!(guest.known, Known::Nobody));
        // Keep the latest, because the runtime of an earlier one may be gone.
        self.runtime = Some(guest.runtime);
        self.insert(id, EndpointKind::Socket(socket));
        let registry = self.poll.registry();
        let Some(Endpoint {
            kind: EndpointKind::Socket(socket),
            ..
        }) = &mut self.endpoints[id.index() as usize]
        else {
            return;
        };
        if let Err(error) = socket.register(registry, Token(id.index() as usize)) {
            tracing::warn!(%error, "a connection could not be watched, and is closed");
            self.close(id);
            return;
        }
        self.intake.now = now;
        let read = socket.receive(received, &mut self.intake);
        if let Some(name) = guest.device {
            self.hub.handle_device(id, name);
        }
        if guest.is_welcome {
            self.hub.handle_welcome(now, id);
        }
        self.handle_read(id, read);
        // What arrived before the socket was watched raises no event.
        self.unread.push(id);
    }

    pub(super) fn read_sockets(&mut self, events: &Events, buffer: &mut [u8]) {
        self.intake.now = self.now();
        for id in std::mem::take(&mut self.unread) {
            self.read(id, buffer);
        }
        for event in events {
            let Some(Some(endpoint)) = self.endpoints.get(event.token().0) else {
                continue;
            };
            let (id, is_stuck) = (endpoint.id, endpoint.is_stuck());
            // While a question about a client is open, its socket is not read, which would show that the client has
            // gone.
            if (event.is_read_closed() || event.is_error()) && self.hub.is_asking(id) {
                self.close(id);
                continue;
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(id, buffer);
            }
            // A socket with something to read is usually writable, too. If nothing is stuck, its frames leave when
            // their turn comes, not now.
            if event.is_writable() && is_stuck {
                self.flush(id);
            }
        }
    }

    fn read(&mut self, id: ConnectionId, buffer: &mut [u8]) {
        if self.hub.is_asking(id) {
            return;
        }
        match self.endpoint(id).map(|endpoint| &mut endpoint.kind) {
            Some(EndpointKind::Socket(_)) => {}
            Some(EndpointKind::Events(socket)) => {
                if let Some(end) = socket.read(buffer) {
                    self.note_end(end);
                    self.close(id);
                }
                return;
            }
            Some(EndpointKind::Local(_)) | None => return,
        }
        let Some(Some(Endpoint {
            kind: EndpointKind::Socket(socket),
            ..
        })) = self.endpoints.get_mut(id.index() as usize)
        else {
            return;
        };
        let read = socket.read(buffer, &mut self.intake);
        self.handle_read(id, read);
    }

    fn handle_read(&mut self, id: ConnectionId, read: Read) {
        let now = self.now();
        for frame in read.frames {
            match frame {
                Ok(frame) => {
                    let mut watched = None;
                    if let ClientFrame::Publish { publish, .. } = &frame {
                        self.totals.publishes += 1;
                        watched = self
                            .to_be_watched(&publish.topic, self.started + (now - Instant::ZERO));
                    }
                    self.hub.handle_frame(now, id, frame);
                    self.watch(watched);
                }
                Err(error) => {
                    self.totals.bad_frames += 1;
                    self.hub.handle_bad_frame(now, id, error);
                }
            }
            // If calls are answered at once, answers keep the order of the frames.
            self.carry_out_calls();
        }
        if read.part_bytes > 0 {
            self.hub.handle_part(now, id, read.part_bytes);
        } else if read.has_control {
            self.hub.handle_control(now, id);
        }
        if read.is_given_up {
            self.note_end(Flushed::GivenUp);
        }
        if let Some(violation) = read.violation {
            self.totals.count_violation(&violation);
            self.close_told(id);
        } else if read.is_closed {
            self.close(id);
        } else if read.has_more {
            self.unread.push(id);
        }
    }
}
