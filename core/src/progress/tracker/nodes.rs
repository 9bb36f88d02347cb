//! Messages to and from other nodes, and what their silence means.

use alloc::collections::BTreeMap;

use super::Tracker;
use crate::presence::NodeId;
use crate::progress::message::{ProgressBody, ProgressMessage};
use crate::progress::tally::Tally;
use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) enum Link {
    /// There are no other nodes.
    Alone,
    Linked {
        /// The version of this node's changes that was sent to the others.
        sent: u64,
        /// The version of this node's share that was sent to the others, unless something was lost.
        sent_share: u64,
        /// Whether something has to be sent to them, even if it is nothing new.
        is_owed: bool,
        heartbeat_at: Instant,
    },
    /// Bye has been sent.
    Over,
}

/// Another node that was heard from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    heard: Instant,
    is_up: bool,
    /// When it was last asked for what was missed.
    asked: Option<Instant>,
}

impl Tracker {
    /// The link to the other nodes is up, for the first time or again.
    pub fn handle_linked(&mut self, now: Instant) {
        let sent = match self.link {
            Link::Alone => 0,
            Link::Linked { sent, .. } => sent,
            Link::Over => return,
        };
        self.link = Link::Linked {
            sent,
            sent_share: 0,
            is_owed: true,
            heartbeat_at: now + self.config.heartbeat,
        };
        self.send(ProgressBody::Hello {});
        self.settle(now);
    }

    /// A message arrived from another node. This node's own messages, and those about other work, are ignored.
    pub fn handle_message(&mut self, now: Instant, message: ProgressMessage) {
        let from = message.node;
        let is_listening = matches!(self.link, Link::Linked { .. });
        if !is_listening || from == self.config.node || message.work != self.config.work {
            return;
        }
        if let ProgressBody::Bye {} = message.body {
            self.peers.remove(&from);
            return self.settle(now);
        }
        if !self.meet(now, from) {
            return;
        }
        match message.body {
            ProgressBody::Hello {} => self.owe_everything(),
            ProgressBody::Tell { tally, known } => {
                self.join(now, &tally);
                self.ask(now, from, &known);
            }
            ProgressBody::Ask { of, known } if of == self.config.node => self.answer(&known),
            ProgressBody::Ask { .. } | ProgressBody::Bye {} => {}
        }
        self.settle(now);
    }

    /// Notes a sign of life from a node. Returns whether its messages count.
    fn meet(&mut self, now: Instant, node: NodeId) -> bool {
        let is_new = !self.peers.contains_key(&node);
        if is_new && self.peers.len() >= self.config.limits.nodes_max {
            return false;
        }
        let peer = self.peers.entry(node).or_insert(Peer {
            heard: now,
            is_up: false,
            asked: None,
        });
        peer.heard = now;
        if !core::mem::replace(&mut peer.is_up, true) {
            // While they couldn't reach each other, both may have published, and not the same.
            self.gates.change_all();
        }
        true
    }

    /// Joins a tally, and notes whether anything is new.
    pub(super) fn join(&mut self, now: Instant, tally: &Tally) {
        let before = (self.tally.done(), self.tally.queued());
        let (target, started, ended) = (self.tally.target, self.tally.started_ms, self.tally.ended);
        self.tally.join_registers(tally);
        for (node, share) in &tally.shares {
            let is_known = self.tally.shares.contains_key(node);
            let is_full = self.tally.shares.len() >= self.config.limits.nodes_max;
            if *node == self.config.node || (!is_known && is_full) {
                continue;
            }
            let clock = |of: &Tally| Some(of.shares.get(node)?.window()?.clock_us());
            let clock_before = clock(&self.tally);
            self.tally.join_share(*node, share);
            if clock(&self.tally) > clock_before {
                self.heard_at.insert(*node, now);
            }
        }
        let is_new = before != (self.tally.done(), self.tally.queued())
            || (target, started, ended)
                != (self.tally.target, self.tally.started_ms, self.tally.ended);
        if is_new {
            self.gates.change();
        }
    }

    /// Asks a node for what it knows and this one doesn't, unless it was asked just now.
    fn ask(&mut self, now: Instant, from: NodeId, known: &BTreeMap<NodeId, u64>) {
        let mine = self.tally.known();
        let is_missing = known.iter().any(|(node, version)| {
            *node != self.config.node && mine.get(node).copied().unwrap_or(0) < *version
        });
        let Some(peer) = self.peers.get_mut(&from).filter(|_| is_missing) else {
            return;
        };
        if peer
            .asked
            .is_none_or(|at| at + self.config.ask_again <= now)
        {
            peer.asked = Some(now);
            self.send(ProgressBody::Ask {
                of: from,
                known: mine,
            });
        }
    }

    /// Sends what this node knows beyond what another one knows.
    fn answer(&mut self, theirs: &BTreeMap<NodeId, u64>) {
        for (node, version) in self.tally.known() {
            let since = theirs.get(&node).copied().unwrap_or(0);
            if since < version {
                self.send_share(node, since);
            }
        }
    }

    fn send_share(&mut self, node: NodeId, since: u64) {
        let sessions_max = self.config.limits.message_sessions_max;
        for tally in self.tally.parts(node, since, sessions_max) {
            let known = self.tally.known();
            self.send(ProgressBody::Tell { tally, known });
        }
    }

    /// Notes that all of this node's share has to be sent.
    const fn owe_everything(&mut self) {
        if let Link::Linked {
            sent_share,
            is_owed,
            ..
        } = &mut self.link
        {
            *sent_share = 0;
            *is_owed = true;
        }
    }

    /// Sends this node's changes to the others, unless something was sent just now.
    pub(super) fn send_changes(&mut self, now: Instant) {
        let is_gathering = self.sent_at.is_some_and(|at| at + self.config.gather > now);
        if self.has_news() && !is_gathering {
            self.flush(now);
        }
    }

    const fn has_news(&self) -> bool {
        match &self.link {
            Link::Linked { sent, is_owed, .. } => *is_owed || *sent != self.version,
            Link::Alone | Link::Over => false,
        }
    }

    fn flush(&mut self, now: Instant) {
        let Link::Linked { sent_share, .. } = self.link else {
            return;
        };
        self.sent_at = Some(now);
        let own = self.config.node;
        if self.tally.shares.contains_key(&own) {
            // Brings the window up to date before it is sent.
            self.write(now);
        }
        self.send_share(own, sent_share);
        let share = self.tally.shares.get(&own);
        self.link = Link::Linked {
            sent: self.version,
            sent_share: share.map_or(0, |share| share.whole()),
            is_owed: false,
            heartbeat_at: now + self.config.heartbeat,
        };
    }

    /// Schedules a sign of life if it is time for one.
    pub(super) fn beat(&mut self, now: Instant) {
        if let Link::Linked {
            is_owed,
            heartbeat_at,
            ..
        } = &mut self.link
            && *heartbeat_at <= now
        {
            *heartbeat_at = now + self.config.heartbeat;
            *is_owed = true;
        }
    }

    /// This node shuts down gracefully, after it has sent what it counted.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if self.has_news() {
            self.flush(now);
        }
        if let Link::Linked { .. } = self.link {
            self.send(ProgressBody::Bye {});
        }
        self.link = Link::Over;
        // Pending publications need no deadline any more.
        self.settle(now);
    }

    pub(super) fn review_peers(&mut self, now: Instant) {
        let down_after = self.config.down_after;
        for peer in self.peers.values_mut() {
            peer.is_up &= peer.heard + down_after > now;
        }
        // Nodes that were silent for long are forgotten: a restarted server is a new node.
        let forget_after = down_after.saturating_mul(16);
        self.peers.retain(|_, peer| peer.heard + forget_after > now);
    }

    pub(super) fn nodes_due(&self) -> Option<Instant> {
        let Link::Linked { heartbeat_at, .. } = self.link else {
            return None;
        };
        let gathered = self
            .sent_at
            .filter(|_| self.has_news())
            .map(|at| at + self.config.gather);
        let up = self.peers.values().filter(|peer| peer.is_up);
        let down = up.map(|peer| peer.heard + self.config.down_after).min();
        [Some(heartbeat_at), gathered, down]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns whether no other node is up.
    pub(super) fn is_alone(&self) -> bool {
        !self.peers.values().any(|peer| peer.is_up)
    }

    /// Returns whether this node publishes: it has the lowest number of all that are up. Once it has said bye, it
    /// publishes nothing.
    pub(super) fn is_speaker(&self) -> bool {
        if matches!(self.link, Link::Over) {
            return false;
        }
        let mut lower = self.peers.range(..self.config.node);
        lower.all(|(_, peer)| !peer.is_up)
    }
}
