//! What a hub has due to its subscribers, as records.

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
/// A number is the id's index. It may be given again, but only by a later call, when JavaScript has read
/// that its subscription has ended.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionIds {
    by_number: Vec<Option<SubscriptionId>>,
}

impl SubscriptionIds {
    /// Notes an id, and returns its number.
    pub(crate) fn add(&mut self, id: SubscriptionId) -> u32 {
        let number = number(id);
        let index = number as usize;
        if self.by_number.len() <= index {
            self.by_number.resize(index + 1, None);
        }
        self.by_number[index] = Some(id);
        number
    }

    /// The id that was last noted under a number. The hub ignores it if it has gone.
    pub(crate) fn get(&self, number: u32) -> Option<SubscriptionId> {
        self.by_number.get(number as usize).copied().flatten()
    }
}

const fn number(id: SubscriptionId) -> u32 {
    id.index()
}

/// Writes what is due.
pub(crate) fn push(due: &Due<Handle>) {
    match due {
        Due::Deliver { delivery, .. } => {
            push_emission(number(delivery.subscription), &delivery.emission)
        }
        Due::Reset {
            subscription,
            topic,
            position,
            ..
        } => records::push_note(
            note("reset", *subscription)
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
        } => push_refused(*subscription, error),
    }
}

fn push_refused(subscription: SubscriptionId, error: &WireError) {
    records::push_note(note("refused", subscription).object("error", plain(error)));
}

fn note(what: &str, subscription: SubscriptionId) -> Object {
    Object::new()
        .text("note", what)
        .number("subscription", u64::from(number(subscription)))
}

fn push_emission(subscription: u32, emission: &Emission<Arc<Publication<Handle>>>) {
    match emission {
        Emission::One(publication) => records::push(Record::One {
            subscription,
            item: item(publication),
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
