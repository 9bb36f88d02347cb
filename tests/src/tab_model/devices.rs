//! Durable subscriptions of pages, and what their handlers have dealt with.

use std::sync::Arc;

use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::Start;
use tidegate_core::publication::Publication;

use super::{Browser, Life, Machine};
use crate::json::Json;
use crate::pattern;
use crate::record::Record;

impl Browser {
    /// Adds a subscriber to a page that is remembered by a name. Returns the index of its record.
    ///
    /// # Panics
    /// If the flow is out of range, or the page has another name for the pattern.
    pub fn subscribe_durable(&mut self, page: usize, to: &str, flow: Flow, name: &str) -> usize {
        let to = pattern(to);
        let index = self.records.len();
        let record = Record::new(self.now, page, to.clone(), flow);
        self.records.push(record);
        self.note(format_args!("{page} subscribes {index} to {to} as {name}"));
        let name = DurableName::new(name).expect("a name");
        let now = self.now;
        let Machine::Tab(hub) = &mut self.pages[page].machine else {
            panic!("workers have no subscribers");
        };
        let id = hub
            .handle_subscribe_durable(now, 0, &to, flow, Start::Latest, name)
            .expect("tests use correct flows");
        self.ids.push(id);
        self.pages[page].subscribers.insert(id, index);
        self.settle();
        index
    }

    /// A subscriber's handler has dealt with a publication. Where nothing of its page runs, nothing comes of it.
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
