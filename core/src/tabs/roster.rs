//! Which other tabs there are, as far as this one has heard.

use alloc::vec::Vec;

use super::message::TabId;
use crate::limits::TABS_MAX;
use crate::sorted::SortedMap;

/// After so many calls without an answer a tab is taken for gone.
const MISSED_MAX: u8 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    is_visible: bool,
    /// Calls in a row that it has not answered.
    missed: u8,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: SortedMap<TabId, Peer>,
}

impl Roster {
    /// A tab has said something.
    pub(super) fn note(&mut self, tab: TabId) {
        if self.peers.len() < TABS_MAX || self.peers.contains_key(&tab) {
            self.peers.or_insert_with(tab, Peer::default).missed = 0;
        }
    }

    pub(super) fn note_visible(&mut self, tab: TabId, is_visible: bool) {
        if let Some(peer) = self.peers.get_mut(&tab) {
            peer.is_visible = is_visible;
        }
    }

    pub(super) fn remove(&mut self, tab: TabId) {
        self.peers.remove(&tab);
    }

    pub(super) fn clear(&mut self) {
        self.peers.clear();
    }

    /// Calls everybody; returns who is taken for gone.
    pub(super) fn call(&mut self) -> Vec<TabId> {
        let mut gone = Vec::new();
        for (tab, peer) in self.peers.iter_mut() {
            peer.missed += 1;
            if peer.missed > MISSED_MAX {
                gone.push(*tab);
            }
        }
        self.peers.retain(|_, peer| peer.missed <= MISSED_MAX);
        gone
    }

    /// A visible tab, where there is one.
    pub(super) fn visible(&self) -> Option<TabId> {
        let mut visible = self.peers.iter().filter(|(_, peer)| peer.is_visible);
        visible.next().map(|(tab, _)| *tab)
    }

    /// A tab that is none of these: a visible one, where there is one.
    pub(super) fn choose(&self, but: &[TabId]) -> Option<TabId> {
        let others = || self.peers.iter().filter(|(tab, _)| !but.contains(tab));
        let visible = others().find(|(_, peer)| peer.is_visible);
        visible.or_else(|| others().next()).map(|(tab, _)| *tab)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = TabId> {
        self.peers.keys().copied()
    }
}
