//! What a tracker says to other nodes and hears from them, and what their silence means.

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
        /// What others were told of, up to this version of what was changed here.
        told: u64,
        /// Up to which version of the own share they were told, unless something was lost.
        told_share: u64,
        /// They are to be told something, though it may be nothing new.
        is_owed: bool,
        heartbeat_at: Instant,
    },
    /// Bye was said.
    Over,
}

/// Another node that was heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    heard: Instant,
    is_up: bool,
    /// When it was asked for what was missed.
    asked: Option<Instant>,
}

impl Tracker {
    /// Messages can be exchanged with other nodes from now on, or again after a break.
    pub fn handle_linked(&mut self, now: Instant) {
        let told = match self.link {
            Link::Alone => 0,
            Link::Linked { told, .. } => told,
            Link::Over => return,
        };
        self.link = Link::Linked {
            told,
            told_share: 0,
            is_owed: true,
            heartbeat_at: now + self.config.heartbeat,
        };
        self.send(ProgressBody::Hello {});
        self.settle(now);
    }

    /// Another node said something. What this node itself said, or what is about other work, is not heard.
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

    /// Notes that a node is there. Says whether it is listened to.
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
            // While they could not hear each other, both may have told the world, and not the same.
            self.gates.change_all();
        }
        true
    }

    /// Takes over what is new in a tally.
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

    /// Tells what this node knows beyond what another one knows.
    fn answer(&mut self, theirs: &BTreeMap<NodeId, u64>) {
        for (node, version) in self.tally.known() {
            let since = theirs.get(&node).copied().unwrap_or(0);
            if since < version {
                self.tell_share(node, since);
            }
        }
    }

    fn tell_share(&mut self, node: NodeId, since: u64) {
        let sessions_max = self.config.limits.message_sessions_max;
        for tally in self.tally.parts(node, since, sessions_max) {
            let known = self.tally.known();
            self.send(ProgressBody::Tell { tally, known });
        }
    }

    /// The others are to be told all of the own share.
    const fn owe_everything(&mut self) {
        if let Link::Linked {
            told_share,
            is_owed,
            ..
        } = &mut self.link
        {
            *told_share = 0;
            *is_owed = true;
        }
    }

    /// Tells the other nodes what has changed here, unless something was told just now.
    pub(super) fn tell_nodes(&mut self, now: Instant) {
        let is_gathering = self.told_at.is_some_and(|at| at + self.config.gather > now);
        if self.has_news() && !is_gathering {
            self.flush(now);
        }
    }

    const fn has_news(&self) -> bool {
        match &self.link {
            Link::Linked { told, is_owed, .. } => *is_owed || *told != self.version,
            Link::Alone | Link::Over => false,
        }
    }

    fn flush(&mut self, now: Instant) {
        let Link::Linked { told_share, .. } = self.link else {
            return;
        };
        self.told_at = Some(now);
        let own = self.config.node;
        if self.tally.shares.contains_key(&own) {
            // What is told is told as of now.
            self.write(now);
        }
        self.tell_share(own, told_share);
        let share = self.tally.shares.get(&own);
        self.link = Link::Linked {
            told: self.version,
            told_share: share.map_or(0, |share| share.whole()),
            is_owed: false,
            heartbeat_at: now + self.config.heartbeat,
        };
    }

    /// Gives a sign of life where it is time for one.
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

    /// This node goes away in order. What it has counted is told before.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if self.has_news() {
            self.flush(now);
        }
        if let Link::Linked { .. } = self.link {
            self.send(ProgressBody::Bye {});
        }
        self.link = Link::Over;
        // What it would have told the world later needs no deadline any more.
        self.settle(now);
    }

    pub(super) fn review_peers(&mut self, now: Instant) {
        let down_after = self.config.down_after;
        for peer in self.peers.values_mut() {
            peer.is_up &= peer.heard + down_after > now;
        }
        // Those that were silent for long are no more: each start of a server is another node.
        let forget_after = down_after.saturating_mul(16);
        self.peers.retain(|_, peer| peer.heard + forget_after > now);
    }

    pub(super) fn nodes_due(&self) -> Option<Instant> {
        let Link::Linked { heartbeat_at, .. } = self.link else {
            return None;
        };
        let gathered = self
            .told_at
            .filter(|_| self.has_news())
            .map(|at| at + self.config.gather);
        let up = self.peers.values().filter(|peer| peer.is_up);
        let down = up.map(|peer| peer.heard + self.config.down_after).min();
        [Some(heartbeat_at), gathered, down]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether no other node is up.
    pub(super) fn is_alone(&self) -> bool {
        !self.peers.values().any(|peer| peer.is_up)
    }

    /// Whether it is this node that tells the world: of those that are up, the one of the lowest number. Once it has said
    /// bye, it tells nothing.
    pub(super) fn is_speaker(&self) -> bool {
        if matches!(self.link, Link::Over) {
            return false;
        }
        let mut lower = self.peers.range(..self.config.node);
        lower.all(|(_, peer)| !peer.is_up)
    }
}
