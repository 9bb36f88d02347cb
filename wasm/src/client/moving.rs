//! Replacing a hub by another one, perhaps of another module: the state that JavaScript carries over.

use super::{CLIENTS, ClientHub};
use crate::clock::instant;
use crate::due::PacedBy;
use crate::exports::exports;
use crate::frames::topic_position;
use crate::json::Object;
use crate::records;

exports! { CLIENTS:
    client_handle_move = handle_move(now_ms: f64) -> u32;
}

impl ClientHub {
    /// Prepares for another hub to replace this one: delivers everything that is held back, then records the positions
    /// after which each subscription resumes there, unless it starts as it did here, and the idempotency key with which
    /// each unanswered publish is to be repeated.
    fn handle_move(&mut self, now_ms: f64) -> u32 {
        self.hub.handle_flush(instant(now_ms));
        records::begin();
        self.push_outputs();
        self.subscribers.screen.handle_flush();
        self.push_outputs();
        for (subscription, id) in self.subscribers.ids.iter() {
            let id = match PacedBy::of(subscription) {
                PacedBy::Time => Some(id),
                PacedBy::Frames => self.subscribers.screen.above(id),
            };
            let Some(since) = id.and_then(|id| self.hub.resumes_after(id)) else {
                continue;
            };
            let note = Object::new().text("note", "since");
            let note = note.number("subscription", u64::from(subscription));
            records::push_note(note.list("since", since.iter().map(topic_position)));
        }
        for (request, key) in self.hub.unanswered_keys() {
            let note = Object::new().text("note", "key").number("request", request);
            records::push_note(note.text("id", key));
        }
        records::finish()
    }
}
