//! How connections end: by themselves, because they broke, or with the shard.

use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::ServerFrame;
use tidegate_core::session::CloseReason;

use super::socket::Flushed;
use super::{Endpoint, EndpointKind, Shard};

impl Shard {
    /// Delivers what is waiting, and tells clients to connect again.
    pub(super) fn take_leave(&mut self) {
        let endpoints = std::mem::take(&mut self.endpoints);
        for Endpoint { id, kind } in endpoints.into_iter().flatten() {
            match kind {
                EndpointKind::Socket(mut socket) => {
                    socket.flush(&mut self.joiner, || self.hub.poll_frame(id));
                    socket.say_goodbye(&mut self.joiner, CloseReason::Drained, None);
                    self.drop_told(socket);
                }
                EndpointKind::Events(mut socket) => {
                    socket.end();
                    let now = self.round;
                    socket.flush(now, &mut self.events, || self.hub.poll_frame(id));
                }
                EndpointKind::Local(queue) => {
                    queue.fill_up(|| self.hub.poll_frame(id));
                    queue.finish();
                }
            }
        }
    }

    /// Writes what the connection still accepts, says why it closes, and closes it.
    pub(super) fn finish(&mut self, id: ConnectionId, reason: CloseReason) {
        self.totals.count_close(reason);
        self.flush(id);
        match self.endpoint(id) {
            Some(Endpoint {
                kind: EndpointKind::Socket(_),
                ..
            }) => {
                self.say_goodbye(id, reason);
                self.close_told(id);
            }
            // It ends once its socket has accepted everything.
            Some(Endpoint {
                kind: EndpointKind::Events(socket),
                ..
            }) => {
                socket.end();
                self.flush(id);
            }
            // A local reader may still have frames to read; it closes the connection when it has read them.
            Some(Endpoint {
                kind: EndpointKind::Local(queue),
                ..
            }) => {
                queue.finish();
                self.end_opening(id);
            }
            None => {}
        }
    }

    /// Tells the client of a WebSocket why it closes. A slow reader gets the rest of the message that it has begun to read and the error
    /// that ends the connection, but nothing of what waits between them: it can resume after the last publication that it has.
    fn say_goodbye(&mut self, id: ConnectionId, reason: CloseReason) {
        let Some(Some(Endpoint {
            kind: EndpointKind::Socket(socket),
            ..
        })) = self.endpoints.get_mut(id.index() as usize)
        else {
            return;
        };
        let mut last = None;
        // Of a reader that was too slow, much is waiting, and the close frame says everything.
        if socket.is_stuck() && reason != CloseReason::SlowConsumer {
            let frames = std::iter::from_fn(|| self.hub.poll_frame(id));
            last = frames
                .filter(|frame| matches!(frame, ServerFrame::Error(error) if error.fatal))
                .last();
        }
        socket.say_goodbye(&mut self.joiner, reason, last);
    }

    /// Counts a connection that has ended by itself.
    pub(super) fn note_end(&mut self, end: Flushed) {
        if end == Flushed::GivenUp {
            self.totals.count_close(CloseReason::SlowConsumer);
        }
    }

    /// Forgets a connection: at its end, or because it is broken.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if self.endpoint(id).is_none() {
            return;
        }
        if let Some(mut endpoint) = self.endpoints[id.index() as usize].take() {
            self.sender.count_closed();
            match &mut endpoint.kind {
                EndpointKind::Socket(socket) => socket.deregister(self.poll.registry()),
                EndpointKind::Events(socket) => {
                    socket.deregister(self.poll.registry());
                    self.streams.disarm(id.index());
                }
                EndpointKind::Local(queue) => queue.finish(),
            }
        }
        self.questions.drop_of(id);
        self.hub.handle_closed(self.now(), id);
    }
}

#[cfg(not(unix))]
impl Shard {
    /// Forgets a connection whose client was told why it ends.
    pub(super) fn close_told(&mut self, id: ConnectionId) {
        self.close(id);
    }

    pub(super) fn drop_told(&mut self, socket: super::Socket) {
        drop(socket);
    }
}

impl Drop for Shard {
    /// Streams end with the shard; sockets close by being dropped.
    fn drop(&mut self) {
        for endpoint in self.endpoints.iter().flatten() {
            if let EndpointKind::Local(queue) = &endpoint.kind {
                queue.finish();
            }
        }
    }
}
