//! Delivers a publication to many connections: it is encoded once, and written to one socket after the other.

use std::sync::Arc;

use tidegate_core::hub::{ConnectionId, Spread};
use tidegate_core::protocol::ServerFrame;

use super::joiner::Shared;
use super::socket::Flushed;
use super::{EndpointKind, Shard};
use crate::json::Json;

/// The number of recipients that are fetched and looked at before the first of them is written to, so that the processor loads the memory
/// of all of them at the same time.
const AT_HAND: usize = 16;

impl Shard {
    /// Writes a publication to its next recipients, and returns whether there was one.
    pub(super) fn spread(&mut self) -> bool {
        let Some(spread) = self.hub.poll_spread() else {
            return false;
        };
        let (mut shared, mut broken) = (None, Vec::new());
        let mut at_hand = Vec::with_capacity(AT_HAND);
        loop {
            at_hand.clear();
            while at_hand.len() < AT_HAND
                && let Some(recipient) = self.hub.poll_recipient()
            {
                let endpoint = self.endpoint(recipient.connection);
                at_hand.push((recipient, endpoint.is_some_and(|it| !it.is_stuck())));
            }
            if at_hand.is_empty() {
                break;
            }
            for (recipient, is_free) in &at_hand {
                let id = recipient.connection;
                let delivered = is_free.then(|| self.deliver(id, &spread, &mut shared));
                match delivered.flatten() {
                    None => self.hub.handle_untaken(self.round, *recipient, &spread),
                    Some(Flushed::Done | Flushed::Full) => {}
                    Some(gone) => broken.push((id, gone)),
                }
            }
        }
        for (id, flushed) in broken {
            self.note_end(flushed);
            self.close(id);
        }
        true
    }

    /// Writes a publication to one of its recipients; `None` if that accepts nothing now.
    fn deliver(
        &mut self,
        id: ConnectionId,
        spread: &Spread<Json>,
        shared: &mut Option<Shared>,
    ) -> Option<Flushed> {
        let endpoint = self.endpoints.get_mut(id.index() as usize)?.as_mut()?;
        // Another subscription of the connection may just have filled its socket.
        if endpoint.id != id || endpoint.is_stuck() {
            return None;
        }
        let frame = || ServerFrame::Publication {
            publication: Arc::clone(&spread.publication),
            via: spread.via.clone(),
        };
        Some(match &mut endpoint.kind {
            EndpointKind::Socket(socket) => {
                let shared = shared.get_or_insert_with(|| self.joiner.share(spread));
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
        })
    }
}
