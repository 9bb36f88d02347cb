//! Durable subscriptions of pages, and what their handlers have processed.

use std::sync::Arc;

use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::publication::Publication;

use super::{Browser, Life};
use crate::json::Json;
use crate::pattern;

impl Browser {
    /// Adds a durable subscriber to a page. Returns the index of its record.
    ///
    /// # Panics
    /// If the flow is out of range, or the page has another name for the pattern.
    pub fn subscribe_durable(&mut self, page: usize, to: &str, flow: Flow, name: &str) -> usize {
        let request = SubscribeRequest {
            durable: Some(DurableName::new(name).expect("a name")),
            ..SubscribeRequest::new(pattern(to), flow)
        };
        self.ask(page, request)
    }

    /// A subscriber's handler has processed a publication. If its page doesn't run, nothing happens.
    pub fn deal_with(&mut self, record: usize, publication: &Arc<Publication<Json>>) {
        let page = self.records[record].peer;
        if self.pages[page].life != Life::Awake {
            return;
        }
        let Publication {
            topic, position, ..
        } = &**publication;
        self.note(format_args!("{record} has dealt with {topic} {position}"));
        let (now, id) = (self.now, self.ids[record]);
        self.with_tab(page, |hub| hub.handle_handled(now, id, topic, *position));
    }
}
