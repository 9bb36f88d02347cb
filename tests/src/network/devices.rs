//! Durable subscriptions of clients, and what their handlers have processed.

use std::sync::Arc;

use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::publication::Publication;

use super::Network;
use crate::json::Json;
use crate::pattern;

impl Network {
    /// Adds a durable subscriber to a client. Returns the index of its record.
    ///
    /// # Panics
    /// If the flow is out of range, or the client has another name for the pattern.
    pub fn subscribe_durable(&mut self, peer: usize, to: &str, flow: Flow, name: &str) -> usize {
        let request = SubscribeRequest {
            durable: Some(DurableName::new(name).expect("a name")),
            ..SubscribeRequest::new(pattern(to), flow)
        };
        self.ask(peer, request)
    }

    /// A subscriber's handler has processed a publication.
    pub fn deal_with(&mut self, record: usize, publication: &Arc<Publication<Json>>) {
        let Publication {
            topic, position, ..
        } = &**publication;
        self.note(format_args!("{record} has dealt with {topic} {position}"));
        let (peer, id) = (self.records[record].peer, self.ids[record]);
        self.with_hub(peer, |hub, now| {
            hub.handle_handled(now, id, topic, *position);
        });
    }
}
