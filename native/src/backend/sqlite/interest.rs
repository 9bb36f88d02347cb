//! The topics whose publications go to the feed.

use std::collections::HashMap;

use tidegate_core::router::{Router, Ticket};
use tidegate_core::topic::{Pattern, Topic};

/// The patterns that are followed, each once.
pub(super) struct Interest {
    router: Router<()>,
    tickets: HashMap<Pattern, Ticket>,
}

impl Interest {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(crate::random_seed()),
            tickets: HashMap::new(),
        }
    }

    pub(super) fn follow(&mut self, patterns: Vec<Pattern>) {
        for pattern in patterns {
            if !self.tickets.contains_key(&pattern) {
                let ticket = self.router.subscribe(&pattern, ());
                self.tickets.insert(pattern, ticket);
            }
        }
    }

    pub(super) fn unfollow(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            if let Some(ticket) = self.tickets.remove(pattern) {
                self.router.unsubscribe(ticket);
            }
        }
    }

    /// Whether a followed pattern matches the topic.
    pub(super) fn covers(&self, topic: &Topic) -> bool {
        let mut is_covered = false;
        self.router.for_each_match(topic, |_| is_covered = true);
        is_covered
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }
}
