//! Messages from other nodes, and what their silence means.

use alloc::vec::Vec;

use super::{Link, Tracker, id_of};
use crate::payload::Payload;
use crate::presence::NodeId;
use crate::presence::message::{Part, PresenceBody, PresenceMessage};
use crate::presence::peer::{Peer, Status};
use crate::time::Instant;

impl<M: Payload + Clone> Tracker<M> {
    /// The link to the other nodes is up, for the first time or again.
    pub fn handle_linked(&mut self, now: Instant) {
        let sent = match self.link {
            Link::Alone => 0,
            Link::Linked { sent, .. } => sent,
            Link::Over => return,
        };
        self.link = Link::Linked {
            sent,
            owed: Some(sent),
            heartbeat_at: now + self.config.heartbeat,
        };
        self.send(PresenceBody::Hello);
        self.settle(now);
    }

    /// A message arrived from another node. This node's own messages are ignored.
    pub fn handle_message(&mut self, now: Instant, message: PresenceMessage<M>) {
        let from = message.from;
        let is_listening = matches!(self.link, Link::Linked { .. });
        if !is_listening || from == self.config.node || !self.meet(now, from) {
            return;
        }
        match message.body {
            PresenceBody::Hello => self.owe(u64::MAX),
            PresenceBody::Request { of, since } if of == self.config.node => self.owe(since),
            PresenceBody::Request { .. } => {}
            PresenceBody::Part(part) => self.handle_part(now, from, part),
            PresenceBody::Bye => self.retire(now, from),
        }
        self.settle(now);
    }

    /// Makes sure that a node is known. Returns whether its messages count.
    fn meet(&mut self, now: Instant, node: NodeId) -> bool {
        if let Some(peer) = self.peers.get(&node) {
            return peer.status != Status::Gone;
        }
        if self.peers.len() >= self.config.limits.nodes_max {
            return false;
        }
        let peer = Peer::new(now);
        self.note_deadline(peer.deadline(&self.config));
        self.peers.insert(node, peer);
        true
    }

    fn note_deadline(&mut self, at: Instant) {
        self.peers_due = Some(self.peers_due.map_or(at, |due| due.min(at)));
    }

    fn handle_part(&mut self, now: Instant, node: NodeId, part: Part<M>) {
        let Some(peer) = self.peers.get_mut(&node) else {
            return;
        };
        peer.handle_heard(now);
        peer.clock = peer.clock.max(part.clock).max(part.until);
        if peer.status == Status::Down {
            peer.status = Status::Returning { clock: peer.clock };
        }
        // Clocks above it may be in flight: a later heartbeat will tell.
        let until = part.until;
        let joined = peer.take(part, self.config.limits.gaps_max);
        if peer.status == Status::Up {
            for (clock, entry) in &joined.went {
                self.view.leave(id_of(node, *clock), entry);
            }
            for clock in &joined.came {
                self.view
                    .join(id_of(node, *clock), &peer.section.entries[clock]);
            }
        }
        if let Status::Returning { clock } = peer.status
            && peer.section.seen.whole() >= clock
        {
            peer.status = Status::Up;
            for (clock, entry) in &peer.section.entries {
                self.view.join(id_of(node, *clock), entry);
            }
        }
        if let Some(since) = peer.ask(now, until, &self.config) {
            self.send(PresenceBody::Request { of: node, since });
        }
        // The deadline has moved later, or has changed from forgetting the node to considering it down.
        self.note_deadline(now + self.config.down_after);
    }

    /// A node has said bye.
    fn retire(&mut self, now: Instant, node: NodeId) {
        self.hide(node);
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.retire(now);
        }
    }

    /// Removes the presences of a node that is up from the view.
    fn hide(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get(&node)
            && peer.status == Status::Up
        {
            for (clock, entry) in &peer.section.entries {
                self.view.leave(id_of(node, *clock), entry);
            }
        }
    }

    /// This node shuts down gracefully: the others remove its presences at once. Nothing is tracked, and no message
    /// counts, from now on.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.flush(now);
        if let Link::Linked { .. } = self.link {
            self.send(PresenceBody::Bye);
        }
        self.link = Link::Over;
        self.peers_due = None;
    }

    pub(super) fn review_peers(&mut self, now: Instant) {
        let is_due = |peer: &Peer<M>| peer.deadline(&self.config) <= now;
        let silent: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| is_due(peer))
            .map(|(node, _)| *node)
            .collect();
        for node in silent {
            self.hide(node);
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.status = match peer.status {
                    Status::Up | Status::Returning { .. } => Status::Down,
                    Status::Down | Status::Gone => Status::Gone,
                };
                if peer.deadline(&self.config) <= now {
                    self.peers.remove(&node);
                }
            }
        }
        let deadlines = self.peers.values().map(|peer| peer.deadline(&self.config));
        self.peers_due = deadlines.min();
    }

    /// Notes that the others have to be sent the changes after `since`, and at least a sign of life.
    pub(super) fn owe(&mut self, since: u64) {
        if let Link::Linked { sent, owed, .. } = &mut self.link {
            let since = since.min(*sent);
            *owed = Some(owed.map_or(since, |owed| owed.min(since)));
        }
    }
}
