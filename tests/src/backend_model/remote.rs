//! Clients' connections to servers, whose frames are carried by the test itself.

use std::sync::Arc;

use tidegate_core::access::Grant;
use tidegate_core::hub::{ConnectionId, ServerOutput};
use tidegate_core::protocol::{ClientFrame, ErrorCode, PublishRequest, ServerFrame, WireError};
use tidegate_core::session::{Access, CloseReason};
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::{Server, World};
use crate::json::Json;

/// What a server's host knows of a remote connection.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// When the token that its client has shown expires.
    pub(super) ends: Option<Instant>,
    /// Until then, its transport is busy with the last frame.
    busy_until: Instant,
}

/// An action to be taken for a remote connection.
#[derive(Debug)]
pub enum Outward {
    /// Frames wait: take them by the server's `poll_frame`.
    Ready(usize, ConnectionId),
    /// A frame to be sent at once.
    Send(usize, ConnectionId, ServerFrame<Json>),
    /// Send what waits, then close.
    Close(usize, ConnectionId, CloseReason),
}

impl Outward {
    /// The server and the connection that it is for.
    pub const fn connection(&self) -> (usize, ConnectionId) {
        match self {
            Self::Ready(server, id) | Self::Send(server, id, _) | Self::Close(server, id, _) => {
                (*server, *id)
            }
        }
    }
}

impl World {
    /// A client's connection to a server that runs.
    pub fn open_remote(&mut self, server: usize) -> ConnectionId {
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        let id = if self.asks {
            hub.handle_open_as(now, &Access::asked())
        } else {
            hub.handle_open(now)
        };
        let remotes = &mut self.servers[server].remotes;
        remotes.insert(id, Remote::default());
        self.settle(server);
        id
    }

    /// A remote connection is gone.
    pub fn close_remote(&mut self, server: usize, id: ConnectionId) {
        if self.servers[server].remotes.remove(&id).is_some() {
            let now = self.clock(server);
            self.servers[server].hub.handle_closed(now, id);
            self.settle(server);
        }
    }

    /// A remote client's frame reaches its server.
    pub fn say_remote(&mut self, server: usize, id: ConnectionId, frame: ClientFrame<Json>) {
        if self.servers[server].remotes.contains_key(&id) {
            self.say(server, id, frame);
        }
    }

    /// Notes that the transport of a remote connection is busy until then.
    pub fn note_busy(&mut self, server: usize, id: ConnectionId, until: Instant) {
        if let Some(remote) = self.servers[server].remotes.get_mut(&id) {
            remote.busy_until = until;
        }
    }

    /// Spreads a publication to connections for which nothing else waits, unless the server has other outputs first;
    /// returns whether there was one. Busy transports decline it.
    pub(super) fn spread(&mut self, server: usize) -> bool {
        let now = self.clock(server);
        let Some(spread) = self.servers[server].hub.poll_spread() else {
            return false;
        };
        while let Some(recipient) = self.servers[server].hub.poll_recipient() {
            let id = recipient.connection;
            let frame = ServerFrame::Publication {
                publication: Arc::clone(&spread.publication),
                via: spread.via.clone(),
            };
            match self.servers[server].remotes.get(&id) {
                Some(remote) if remote.busy_until > self.now => {
                    let hub = &mut self.servers[server].hub;
                    hub.handle_untaken(now, recipient, &spread);
                }
                Some(_) => self.outward.push_back(Outward::Send(server, id, frame)),
                None if self.is_witness(server, id) => self.take_witnessed(server, frame),
                None => {
                    self.take_frame(server, id, &frame);
                    self.settle_watches(server, id);
                }
            }
        }
        true
    }

    /// Accepts a client's token, which is the time of its expiry, in microseconds of the world's clock.
    pub(super) fn look_at(&mut self, server: usize, id: ConnectionId, token: &str) {
        let micros = token.parse().expect("tokens say when they end");
        let ends = Instant::from_micros(micros);
        let now = self.clock(server);
        let result = if ends <= self.now {
            let over = "the token is over".to_owned();
            Err(WireError::new(ErrorCode::TokenExpired, over))
        } else {
            if let Some(remote) = self.servers[server].remotes.get_mut(&id) {
                remote.ends = Some(ends);
            }
            Ok(Arc::new(Grant {
                expires: Some(now + (ends - self.now)),
                user: Some(Self::USER.into()),
                ..Grant::everything()
            }))
        };
        self.servers[server]
            .hub
            .handle_authenticated(now, id, result);
    }

    /// The connections of running servers with exact timers, and when their tokens expire.
    pub fn granted(&self) -> impl Iterator<Item = (usize, ConnectionId, Instant)> {
        let servers = self.servers.iter().enumerate();
        let exact = servers.filter(|(index, server)| {
            self.runs(*index) && server.lateness.is_zero() && server.disturbed_until <= self.now
        });
        exact.flat_map(|(index, server)| {
            let remotes = server.remotes.iter();
            remotes.filter_map(move |(id, remote)| Some((index, *id, remote.ends?)))
        })
    }

    /// Writes to the backend directly, without any server.
    pub fn publish_raw(&mut self, request: &PublishRequest<Json>) {
        let (_, publication) = self.store.publish(request);
        if let Some(publication) = publication {
            self.announce(&publication);
        }
    }

    /// How many remote connections a server has.
    pub fn remotes(&self, server: usize) -> usize {
        self.servers[server].remotes.len()
    }

    pub(super) fn is_remote(&self, server: usize, output: ServerOutput) -> bool {
        let (ServerOutput::Ready(id) | ServerOutput::Close(id, _)) = output;
        self.servers[server].remotes.contains_key(&id)
    }

    pub(super) fn push_outward(&mut self, server: usize, output: ServerOutput) {
        self.outward.push_back(match output {
            ServerOutput::Ready(id) => Outward::Ready(server, id),
            ServerOutput::Close(id, reason) => Outward::Close(server, id, reason),
        });
    }

    /// Whether topics live in the server itself, and this one is forgotten.
    pub fn has_forgotten(&self, topic: &Topic) -> bool {
        let lives_here = |server: &&Server| server.witness.is_some();
        let mut servers = self.servers.iter().filter(lives_here);
        servers.any(|server| server.hub.latest(topic).is_none())
    }

    pub(super) fn is_witness(&self, server: usize, id: ConnectionId) -> bool {
        self.servers[server].witness == Some(id)
    }

    /// Records the publications of a server that owns its topics as if a backend had stored them.
    pub(super) fn bear_witness(&mut self, server: usize, id: ConnectionId) {
        while let Some(frame) = self.servers[server].hub.poll_frame(id) {
            self.take_witnessed(server, frame);
        }
    }

    fn take_witnessed(&mut self, server: usize, frame: ServerFrame<Json>) {
        if let ServerFrame::Publication { publication, .. } = frame {
            self.note(format_args!("{server} published {publication:?}"));
            self.store.witness(publication);
        }
    }
}
