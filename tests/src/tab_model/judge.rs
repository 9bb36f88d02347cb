//! The invariants of a browser.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use tidegate_core::client::ConnectionState;
use tidegate_core::topic::{Pattern, Topic};

use super::{Browser, Life};

impl Browser {
    pub(super) fn check_has_let_go(&self, page: usize) {
        let holds = self.locks.holder.is_some_and(|ask| ask.page == page);
        let waits = self.locks.queue.iter().any(|ask| ask.page == page);
        assert!(!holds && !waits, "page {page} sleeps with the lock");
        assert!(!self.has_socket(page), "page {page} sleeps with a socket");
    }

    /// Heals everything, as [`Browser::wake_all`] does, and lets time pass.
    pub fn heal(&mut self) {
        self.wake_all();
        self.run_for(Duration::from_secs(240));
    }

    /// Wakes up all pages, makes timers exact, and brings the network back.
    pub fn wake_all(&mut self) {
        self.set_network(true);
        for page in 0..self.pages.len() {
            if self.pages[page].is_open_tab() {
                if self.pages[page].life != Life::Awake {
                    self.wake(page);
                }
                let is_visible = self.pages[page].is_visible;
                self.show(page, is_visible, Duration::ZERO);
            }
        }
    }

    /// Checks that a healed browser has one connection, and every subscriber the latest state of its topics.
    ///
    /// # Panics
    /// If not.
    pub fn check_converged(&self) {
        let open = self.pages.iter().filter(|page| page.is_open_tab()).count();
        // A page without subscriptions does not reconnect after a loss.
        let busy: BTreeSet<usize> = self
            .records
            .iter()
            .filter(|record| !record.is_gone && !record.is_over())
            .map(|record| record.peer)
            .collect();
        let connections = self.server.connections() - 1;
        assert!(connections <= 1 && (connections == 1 || busy.is_empty()));
        let leaders = self.leaders();
        assert_eq!(leaders.len(), usize::from(open > 0), "leaders {leaders:?}");
        for page in &busy {
            let state = self.pages[*page].states.last().map(|(_, state)| state);
            assert_eq!(state, Some(&ConnectionState::Connected), "page {page}");
        }
        let followed: BTreeSet<&Pattern> = self
            .records
            .iter()
            .filter(|record| !record.is_gone && !record.is_over())
            .map(|record| &record.pattern)
            .collect();
        let subscriptions = self.server.counts().subscriptions - 1;
        assert_eq!(subscriptions, followed.len(), "subscriptions");
        for leader in leaders {
            let (members, patterns) = self.pages[leader].machine.tabs().counts();
            assert!((busy.len()..=open).contains(&members), "{members} members");
            assert_eq!(patterns, followed.len(), "patterns");
        }
        self.check_records();
    }

    /// Checks that every subscriber has the latest state of its topics, and that each end was delivered once.
    fn check_records(&self) {
        let mut latest: BTreeMap<&Topic, _> = BTreeMap::new();
        for (_, publication) in &self.truth {
            latest.insert(&publication.topic, publication);
        }
        for (index, record) in self.records.iter().enumerate() {
            let is_slow = record.missed() > 0 && !record.has_changed;
            assert!(!is_slow, "{index} was told that it is slow");
            if !record.is_gone {
                let name = format!("{index} of page {}", record.peer);
                record.check_latest(&name, latest.values().copied(), false);
            }
        }
    }

    /// Closes all pages, and checks that nothing is left behind.
    ///
    /// # Panics
    /// If something is.
    pub fn check_leaves_nothing(&mut self) {
        for page in 0..self.pages.len() {
            if self.pages[page].is_open_tab() {
                self.close(page);
            }
        }
        self.run_for(Duration::from_secs(1));
        assert_eq!(self.server.connections(), 1, "connections are left");
        assert_eq!(self.server.counts().subscriptions, 1);
        assert!(self.locks.is_free(), "the lock is left: {:?}", self.locks);
    }
}
