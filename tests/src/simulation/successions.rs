//! Compares what subscribers of programs are told with what the backend has stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::flow::Pace;
use tidegate_core::gate::Emission;
use tidegate_core::hub::Due;
use tidegate_core::publication::Publication;
use tidegate_core::topic::Topic;

use super::System;
use super::links::LinkId;
use crate::json::Json;

/// The last publication of a topic that each subscriber was told of, and the link that it came over.
pub(super) type Told = BTreeMap<(usize, Topic), (LinkId, Arc<Publication<Json>>)>;

impl System {
    /// All publications over one link come from one server's copy of the topic. A paced subscriber may be told later,
    /// when the program has another link already.
    pub(super) fn check_succession(&mut self, program: usize, record: usize, due: &Due<Json>) {
        let Some(link) = self.programs[program].link else {
            return;
        };
        if self.records[record].flow.pace != Pace::Immediate {
            return;
        }
        match due {
            Due::Deliver { delivery, .. } => {
                let items = match &delivery.emission {
                    Emission::One(publication) => core::slice::from_ref(publication),
                    Emission::Batch(items) => items,
                };
                for item in items {
                    let told = (
                        self.came_by(program, item).unwrap_or(link),
                        Arc::clone(item),
                    );
                    let before = self.told.insert((record, item.topic.clone()), told);
                    if let Some((_, before)) = before.filter(|(other, _)| *other == link) {
                        self.world.store.check_succession(&before, item);
                    }
                }
            }
            Due::Reset { topic, .. } => _ = self.told.remove(&(record, topic.clone())),
            Due::Lagged { .. } | Due::End { .. } | Due::Refused { .. } => {}
        }
    }

    /// The link over which a publication came that another subscriber of the program was told last: one that joins gets
    /// what its client already has.
    fn came_by(&self, program: usize, item: &Arc<Publication<Json>>) -> Option<LinkId> {
        let others = self.programs[program].subscribers.values();
        let told = others.filter_map(|other| self.told.get(&(*other, item.topic.clone())));
        told.filter(|(_, told)| told == item)
            .map(|(link, _)| *link)
            .next()
    }
}
