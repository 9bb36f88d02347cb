//! Writes what a hub has due for its subscribers as records.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::gate::Emission;
use tidegate_core::hub::{Due, SubscriptionId};
use tidegate_core::protocol::WireError;
use tidegate_core::publication::Publication;

use crate::errors::plain;
use crate::json::Object;
use crate::records::{self, Item, Record};
use crate::slot::Handle;

/// The subscriptions of a hub, under the numbers by which JavaScript knows them.
///
/// A number combines the id's index with what paces the subscription. It may be reused, but only by a later call, after
/// JavaScript has read that its subscription has ended.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionIds {
    by_number: Vec<Option<SubscriptionId>>,
}

/// What paces a subscription, and so which hub it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacedBy {
    /// Time.
    Time,
    /// The frames of a screen.
    Frames,
}

impl PacedBy {
    /// What paces the subscription with a number.
    pub(crate) const fn of(number: u32) -> Self {
        if number & 1 == 0 {
            Self::Time
        } else {
            Self::Frames
        }
    }
}

impl SubscriptionIds {
    /// Notes an id, and returns its number.
    pub(crate) fn add(&mut self, id: SubscriptionId, paced_by: PacedBy) -> u32 {
        let number = number(id, paced_by);
        let index = number as usize;
        if self.by_number.len() <= index {
            self.by_number.resize(index + 1, None);
        }
        self.by_number[index] = Some(id);
        number
    }

    /// The id that was last noted under a number. If that subscription has ended, the hub ignores the id.
    pub(crate) fn get(&self, number: u32) -> Option<SubscriptionId> {
        self.by_number.get(number as usize).copied().flatten()
    }

    /// The numbers, and the ids that were last noted under them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, SubscriptionId)> {
        (0..)
            .zip(&self.by_number)
            .filter_map(|(number, id)| Some((number, (*id)?)))
    }
}

const fn number(id: SubscriptionId, paced_by: PacedBy) -> u32 {
    id.index() << 1 | paced_by as u32
}

/// The downlink that something is due for.
pub(crate) const fn downlink(due: &Due<Handle>) -> u32 {
    match due {
        Due::Deliver { downlink, .. }
        | Due::Reset { downlink, .. }
        | Due::End { downlink, .. }
        | Due::Lagged { downlink, .. }
        | Due::Refused { downlink, .. } => *downlink,
    }
}

/// Writes what is due.
pub(crate) fn push(due: &Due<Handle>, paced_by: PacedBy) {
    let number = |id| number(id, paced_by);
    match due {
        Due::Deliver { delivery, .. } => {
            let is_paced = delivery.conflate.is_some();
            push_emission(number(delivery.subscription), &delivery.emission, is_paced)
        }
        Due::Reset {
            subscription,
            topic,
            position,
            ..
        } => records::push_note(
            note("reset", number(*subscription))
                .text("topic", topic.as_str())
                .number("epoch", position.epoch)
                .number("offset", position.offset),
        ),
        Due::End {
            subscription,
            reason,
            ..
        } => records::push(Record::End {
            subscription: number(*subscription),
            reason: *reason,
        }),
        Due::Lagged {
            subscription,
            missed,
            ..
        } => records::push(Record::Lagged {
            subscription: number(*subscription),
            missed: *missed,
        }),
        Due::Refused {
            subscription,
            error,
            ..
        } => push_refused(number(*subscription), error),
    }
}

fn push_refused(subscription: u32, error: &WireError) {
    records::push_note(note("refused", subscription).object("error", plain(error)));
}

fn note(what: &str, subscription: u32) -> Object {
    Object::new()
        .text("note", what)
        .number("subscription", u64::from(subscription))
}

fn push_emission(subscription: u32, emission: &Emission<Arc<Publication<Handle>>>, is_paced: bool) {
    match emission {
        Emission::One(publication) => records::push(Record::One {
            subscription,
            item: item(publication),
            is_paced,
        }),
        Emission::Batch(publications) => {
            let Some((last, parts)) = publications.split_last() else {
                return;
            };
            for part in parts {
                let item = item(part);
                records::push(Record::Part { subscription, item });
            }
            let item = item(last);
            records::push(Record::LastPart { subscription, item });
        }
    }
}

fn item(publication: &Publication<Handle>) -> Item<'_> {
    Item {
        payload: &publication.payload,
        position: publication.position,
        end: publication.end,
    }
}
