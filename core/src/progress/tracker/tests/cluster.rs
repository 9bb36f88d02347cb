//! Servers that count, the network between them, and what they publish, in virtual time.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::config;
use crate::progress::{Notice, ProgressOutput, Snapshot, Tally, Tracker};
use crate::random::Random;
use crate::time::Instant;

/// A server, while it runs.
pub(super) struct Server {
    pub(super) tracker: Option<Tracker>,
    pub(super) is_cut: bool,
}

/// Servers that count the same work, and what they publish. Their messages are passed as JSON text.
pub(super) struct Cluster {
    pub(super) now: Instant,
    pub(super) servers: Vec<Server>,
    /// The percentage of messages that don't reach a server.
    pub(super) loss_percent: u64,
    random: Random,
    pub(super) next_node: u64,
    on_the_way: BTreeMap<(Instant, u64), (usize, String)>,
    sent: u64,
    /// What was published, and by which server.
    pub(super) told: Vec<(Instant, usize, Notice)>,
}

impl Cluster {
    pub(super) fn started(servers: usize, seed: u64) -> Self {
        let mut cluster = Self {
            now: Instant::ZERO,
            servers: (0..servers)
                .map(|_| Server {
                    tracker: None,
                    is_cut: false,
                })
                .collect(),
            loss_percent: 0,
            random: Random::new(seed),
            next_node: 0,
            on_the_way: BTreeMap::new(),
            sent: 0,
            told: Vec::new(),
        };
        (0..servers).for_each(|server| cluster.start(server));
        cluster.run_for(Duration::from_secs(1));
        cluster
    }

    pub(super) fn start(&mut self, server: usize) {
        self.next_node += 1;
        let mut tracker = Tracker::new(config(self.next_node));
        tracker.handle_linked(self.now);
        self.servers[server].tracker = Some(tracker);
        self.drain(server);
    }

    pub(super) fn kill(&mut self, server: usize) {
        self.servers[server].tracker = None;
    }

    pub(super) fn at(&mut self, server: usize, act: impl FnOnce(&mut Tracker, Instant)) {
        let now = self.now;
        if let Some(tracker) = &mut self.servers[server].tracker {
            act(tracker, now);
            self.drain(server);
        }
    }

    fn drain(&mut self, server: usize) {
        let Some(tracker) = &mut self.servers[server].tracker else {
            return;
        };
        let outputs: Vec<ProgressOutput> = core::iter::from_fn(|| tracker.poll_output()).collect();
        for output in outputs {
            match output {
                ProgressOutput::Publish(notice) => self.told.push((self.now, server, notice)),
                ProgressOutput::Send(message) => {
                    let text = serde_json::to_string(&message).expect("JSON");
                    self.broadcast(server, &text);
                }
            }
        }
    }

    fn broadcast(&mut self, from: usize, text: &str) {
        for to in (0..self.servers.len()).filter(|to| *to != from) {
            let is_cut = self.servers[from].is_cut || self.servers[to].is_cut;
            if is_cut || self.random.next_u64() % 100 < self.loss_percent {
                continue;
            }
            for _ in 0..=(self.random.next_u64() % 2) {
                let at = self.now + Duration::from_millis(self.random.next_u64() % 40);
                self.sent += 1;
                self.on_the_way
                    .insert((at, self.sent), (to, String::from(text)));
            }
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = self
                .servers
                .iter()
                .filter_map(|server| server.tracker.as_ref()?.poll_timeout())
                .min();
            let message = self.on_the_way.first_key_value().map(|((at, _), _)| *at);
            let Some(next) = due
                .into_iter()
                .chain(message)
                .min()
                .filter(|at| *at <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.on_the_way.first_entry()
                && entry.key().0 <= self.now
            {
                let (to, text) = entry.remove();
                let message = serde_json::from_str(&text).expect("our own JSON");
                self.at(to, |tracker, now| tracker.handle_message(now, message));
            }
            for server in 0..self.servers.len() {
                self.at(server, |tracker, now| {
                    tracker.handle_timeout(now);
                    assert!(tracker.poll_timeout().is_none_or(|at| at > now));
                });
            }
        }
        self.now = until;
    }

    pub(super) fn last_progress(&self) -> &Snapshot {
        let told = self.told.iter().rev();
        let mut snapshots = told.filter_map(|(.., notice)| match notice {
            Notice::Progress(snapshot) | Notice::Ended(snapshot, _) => Some(snapshot),
            Notice::Done(_) | Notice::Users { .. } | Notice::Queue { .. } => None,
        });
        snapshots.next().expect("progress was told")
    }

    pub(super) fn tallies(&self) -> Vec<&Tally> {
        let trackers = self
            .servers
            .iter()
            .filter_map(|server| server.tracker.as_ref());
        trackers.map(Tracker::tally).collect()
    }
}
