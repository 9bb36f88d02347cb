//! Event streams that the shard writes itself: how it adopts them, and what happens at their deadlines.

use mio::Token;
use tidegate_core::event_stream::EventStreamOutput;
use tidegate_core::hub::ConnectionId;
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;

use super::event_socket::EventSocket;
use super::socket::Flushed;
use super::{Endpoint, EndpointKind, Shard};
use crate::event_stream::Adoption;

impl Shard {
    /// Takes over the writing of a stream that was read within the process.
    pub(super) fn adopt(&mut self, now: Instant, adoption: Adoption) {
        let Adoption {
            id,
            transport,
            head,
            context,
        } = adoption;
        let Some(Endpoint {
            kind: EndpointKind::Local(queue),
            ..
        }) = self.endpoint(id)
        else {
            return;
        };
        let (frames, is_finished) = queue.take_all();
        let mut socket = EventSocket::new(now, transport, head, context, &frames, &mut self.events);
        let token = Token(id.index() as usize);
        if let Err(error) = socket.register(self.poll.registry(), token) {
            tracing::warn!(%error, "a connection could not be watched, and is closed");
            self.close(id);
            return;
        }
        if is_finished {
            socket.end();
        }
        if let Some(at) = socket.poll_timeout() {
            self.streams.arm(id.index(), at);
        }
        self.insert(id, EndpointKind::Events(socket));
        self.flush(id);
        // What arrived before the socket was watched raises no event.
        self.unread.push(id);
    }

    /// Writes what is waiting for an event stream, as far as its socket accepts it.
    pub(super) fn flush_events(&mut self, id: ConnectionId) {
        let (hub, now) = (&mut self.hub, self.round);
        let Some(Some(Endpoint {
            kind: EndpointKind::Events(socket),
            ..
        })) = self.endpoints.get_mut(id.index() as usize)
        else {
            return;
        };
        let progress = socket.flush(now, &mut self.events, || hub.poll_frame(id));
        let is_gone = matches!(progress.flushed, Flushed::Broken | Flushed::GivenUp);
        let is_over = is_gone || socket.is_over();
        if let Some(at) = progress.sooner {
            self.streams.arm(id.index(), at);
        }
        if is_over {
            self.note_end(progress.flushed);
            self.close(id);
        }
    }

    /// Sends keep-alives on silent streams, ends those whose time is over, and gives up those that nobody reads.
    pub(super) fn handle_streams(&mut self, now: Instant) {
        while let Some(index) = self.streams.expire(now) {
            let Some(Some(Endpoint {
                id,
                kind: EndpointKind::Events(socket),
            })) = self.endpoints.get_mut(index as usize)
            else {
                continue;
            };
            let id = *id;
            let output = socket.handle_timeout(now);
            if let Some(at) = socket.poll_timeout() {
                self.streams.arm(index, at);
            }
            match output {
                Some(EventStreamOutput::End) => {
                    socket.expire();
                    self.totals.count_close(CloseReason::Unauthorized);
                    self.flush(id);
                }
                Some(EventStreamOutput::GiveUp) => {
                    self.totals.count_close(CloseReason::SlowConsumer);
                    self.close(id);
                }
                Some(EventStreamOutput::SayAlive) | None => {}
            }
        }
    }
}
