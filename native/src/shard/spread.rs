//! A publication that many get: encoded once, and written to one socket after the other.

use std::sync::Arc;

use tidegate_core::protocol::ServerFrame;

use super::socket::Flushed;
use super::{EndpointKind, Shard};

impl Shard {
    /// Writes a publication to those who are to get it next; says whether there is one.
    pub(super) fn spread(&mut self) -> bool {
        let Some(spread) = self.hub.poll_spread() else {
            return false;
        };
        let mut broken = Vec::new();
        let mut shared = None;
        let frame = || ServerFrame::Publication {
            publication: Arc::clone(&spread.publication),
            via: spread.via.clone(),
        };
        while let Some(recipient) = self.hub.poll_recipient() {
            let id = recipient.connection;
            let endpoint = self.endpoints.get_mut(id.index() as usize);
            let endpoint = endpoint.and_then(Option::as_mut);
            let Some(endpoint) = endpoint.filter(|it| it.id == id && !it.is_stuck()) else {
                self.hub.handle_untaken(self.round, recipient, &spread);
                continue;
            };
            let flushed = match &mut endpoint.kind {
                EndpointKind::Socket(socket) => {
                    let shared = shared.get_or_insert_with(|| self.joiner.share(&spread));
                    socket.deliver(&mut self.joiner, shared)
                }
                EndpointKind::Events(socket) => {
                    let mut frame = Some(frame());
                    let progress = socket.flush(self.round, &mut self.events, || frame.take());
                    if let Some(at) = progress.sooner {
                        self.streams.arm(id.index(), at);
                    }
                    progress.flushed
                }
                EndpointKind::Local(queue) => {
                    let mut frame = Some(frame());
                    queue.fill(|| frame.take());
                    Flushed::Done
                }
            };
            if matches!(flushed, Flushed::Broken | Flushed::GivenUp) {
                broken.push((id, flushed));
            }
        }
        for (id, flushed) in broken {
            self.note_end(flushed);
            self.close(id);
        }
        true
    }
}
