//! The other tabs that this one knows of.

use alloc::vec::Vec;

use super::message::TabId;
use crate::limits::TABS_MAX;
use crate::sorted::SortedMap;

/// A tab that has left this many checks in a row unanswered is assumed gone at the next one.
const MISSED_MAX: u8 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    is_visible: bool,
    /// The checks in a row that it has not answered yet, including the latest.
    missed: u8,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: SortedMap<TabId, Peer>,
}

impl Roster {
    /// A message arrived from a tab.
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

    /// Begins another check of all tabs. Returns those that are assumed gone.
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

    /// A visible tab, if there is one.
    pub(super) fn visible(&self) -> Option<TabId> {
        let mut visible = self.peers.iter().filter(|(_, peer)| peer.is_visible);
        visible.next().map(|(tab, _)| *tab)
    }

    /// A tab that is not among these; a visible one, if possible.
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

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Note(u64),
        Show(u64, bool),
        Remove(u64),
        Call,
        Clear,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..5_u64).prop_map(Step::Note),
            2 => (0..5_u64, any::<bool>()).prop_map(|(tab, is_visible)| Step::Show(tab, is_visible)),
            1 => (0..5_u64).prop_map(Step::Remove),
            4 => Just(Step::Call),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn a_tab_is_gone_that_has_not_answered_two_calls(steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 60 })) {
            let mut roster = Roster::default();
            // Whether it is visible, and how many checks it has missed since its last message.
            let mut model: BTreeMap<TabId, (bool, u8)> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Note(tab) => {
                        roster.note(TabId(tab));
                        model.entry(TabId(tab)).or_default().1 = 0;
                    }
                    Step::Show(tab, is_visible) => {
                        roster.note_visible(TabId(tab), is_visible);
                        model.entry(TabId(tab)).and_modify(|known| known.0 = is_visible);
                    }
                    Step::Remove(tab) => {
                        roster.remove(TabId(tab));
                        model.remove(&TabId(tab));
                    }
                    Step::Call => {
                        model.values_mut().for_each(|known| known.1 += 1);
                        let gone = model.iter().filter(|(_, known)| known.1 == 3);
                        let gone: Vec<TabId> = gone.map(|(tab, _)| *tab).collect();
                        model.retain(|tab, _| !gone.contains(tab));
                        prop_assert_eq!(roster.call(), gone);
                    }
                    Step::Clear => {
                        roster.clear();
                        model.clear();
                    }
                }
                prop_assert!(roster.iter().eq(model.keys().copied()));
                prop_assert_eq!(roster.is_empty(), model.is_empty());
                let visible: Vec<TabId> = model.iter().filter(|(_, known)| known.0).map(|(tab, _)| *tab).collect();
                prop_assert_eq!(roster.visible(), visible.first().copied());
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "as many tabs as there may be")]
    fn so_many_tabs_are_known_and_no_more() {
        let mut roster = Roster::default();
        for tab in 0..=TABS_MAX as u64 {
            roster.note(TabId(tab));
        }
        assert_eq!(roster.iter().count(), TABS_MAX);
        (0..2).for_each(|_| assert!(roster.call().is_empty()));
        roster.note(TabId(0));
        assert_eq!(roster.call().len(), TABS_MAX - 1);
    }
}
