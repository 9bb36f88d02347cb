//! A piece of work that all servers count, telling each other by broadcasts.

use std::collections::BTreeMap;

use tidegate_core::presence::Key;
use tidegate_core::progress::{ProgressConfig, ProgressOutput, Tracker};

use super::World;
use super::link::Event;
use crate::topic;

/// What was counted, and what the servers knew of each other.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// The counts of each life of each server.
    counted: BTreeMap<String, u64>,
    /// For each death of a server: the other servers' lives, and how much of its count they knew.
    known: Vec<(usize, u32, String, u64)>,
}

impl World {
    /// All servers count a piece of work from now on.
    pub fn begin_work(&mut self) {
        self.has_work = true;
        (0..self.servers.len()).for_each(|server| self.start_counting(server));
    }

    pub(super) fn start_counting(&mut self, server: usize) {
        if self.has_work {
            let node = self.servers[server].config.presence.node;
            let config = ProgressConfig::new(topic("work:1"), node);
            self.servers[server].tracker = Some(Tracker::new(config));
        }
    }

    /// Counts some work at a server.
    pub fn count(&mut self, server: usize, count: u64) {
        if !self.runs(server) {
            return;
        }
        let (now, run) = (self.clock(server), self.run_of(server));
        if let Some(tracker) = &mut self.servers[server].tracker {
            tracker.handle_done(now, &Key::new(&run).expect("a short name"), count);
            *self.counting.counted.entry(run).or_default() += count;
        }
        self.settle(server);
    }

    /// Names the current life of a server.
    fn run_of(&self, server: usize) -> String {
        format!("{server}.{}", self.servers[server].life)
    }

    /// What a server knows of the work, by the lives that have done it.
    fn done(&self, server: usize) -> BTreeMap<String, u64> {
        let tracker = self.servers[server].tracker.iter();
        let sessions = tracker.flat_map(|tracker| tracker.tally().sessions());
        sessions
            .map(|(run, count)| (run.to_string(), count))
            .collect()
    }

    /// A server dies: what the others know of its count must be kept.
    pub(super) fn note_counts_of(&mut self, dying: usize) {
        let run = self.run_of(dying);
        for other in 0..self.servers.len() {
            if other != dying
                && self.servers[other].is_up
                && let Some(count) = self.done(other).get(&run)
            {
                let life = self.servers[other].life;
                self.counting.known.push((other, life, run.clone(), *count));
            }
        }
    }

    pub(super) fn poll_progress(&mut self, server: usize) -> Option<ProgressOutput> {
        self.servers[server].tracker.as_mut()?.poll_output()
    }

    /// Carries out an output of a tracker.
    pub(super) fn handle_progress(&mut self, server: usize, output: ProgressOutput) {
        match output {
            ProgressOutput::Send(message) => self.broadcast(server, |to, life| Event::Progress {
                server: to,
                life,
                message: message.clone(),
            }),
            ProgressOutput::Publish(notice) => self.note(format_args!("{server} tells {notice:?}")),
        }
    }

    /// Checks that all servers have the same counts: everything that a living server knows of, and nothing twice.
    ///
    /// # Panics
    /// If they don't.
    pub fn check_counts(&self) {
        let all: Vec<BTreeMap<String, u64>> = (0..self.servers.len())
            .map(|server| self.done(server))
            .collect();
        for (server, done) in all.iter().enumerate() {
            assert_eq!(done, &all[0], "servers {server} and 0 count differently");
            let run = self.run_of(server);
            let own = self.counting.counted.get(&run);
            assert_eq!(done.get(&run), own, "of what server {server} has counted");
            for (run, count) in done {
                let counted = self.counting.counted[run];
                assert!(
                    *count <= counted,
                    "{run} has done {count}, and counted {counted}"
                );
            }
        }
        for (server, life, run, known) in &self.counting.known {
            if self.servers[*server].life == *life {
                let count = all[*server].get(run).copied().unwrap_or_default();
                assert!(count >= *known, "{known} of {run} were known to {server}");
            }
        }
    }
}
