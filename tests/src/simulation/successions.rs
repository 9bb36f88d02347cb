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
type Last = BTreeMap<(usize, Topic), (LinkId, Arc<Publication<Json>>)>;

/// What subscribers were told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    at_once: Last,
    /// Paced subscribers, each with the link at the time. A publication that was held back may have come over an
    /// earlier one.
    paced: Last,
}

impl System {
    /// All publications over one link come from one server's copy of the topic. A paced subscriber may be told later,
    /// when the program has another link already.
    pub(super) fn check_succession(&mut self, program: usize, record: usize, due: &Due<Json>) {
        let Some(link) = self.programs[program].link else {
            return;
        };
        let is_paced = self.records[record].flow.pace != Pace::Immediate;
        match due {
            Due::Deliver { delivery, .. } => {
                let items = match &delivery.emission {
                    Emission::One(publication) => core::slice::from_ref(publication),
                    Emission::Batch(items) => items,
                };
                for item in items {
                    let place = (record, item.topic.clone());
                    if is_paced {
                        self.told.paced.insert(place, (link, Arc::clone(item)));
                        continue;
                    }
                    let told = (
                        self.came_by(program, item).unwrap_or(link),
                        Arc::clone(item),
                    );
                    let before = self.told.at_once.insert(place, told);
                    if let Some((_, before)) = before.filter(|(other, _)| *other == link) {
                        self.world.store.check_succession(&before, item);
                    }
                }
            }
            Due::Reset { topic, .. } => {
                let place = (record, topic.clone());
                self.told.at_once.remove(&place);
                self.told.paced.remove(&place);
            }
            Due::Lagged { .. } | Due::End { .. } | Due::Refused { .. } => {}
        }
    }

    /// The link over which a publication came that another subscriber of the program was told last: one that joins gets
    /// what its client already has.
    fn came_by(&self, program: usize, item: &Arc<Publication<Json>>) -> Option<LinkId> {
        let told = [&self.told.at_once, &self.told.paced].into_iter();
        let mut told = told.flat_map(|told| {
            let others = self.programs[program].subscribers.values();
            others.filter_map(|other| told.get(&(*other, item.topic.clone())))
        });
        let (link, _) = told.find(|(_, told)| told == item)?;
        Some(*link)
    }
}
