//! What is due, as numbers: the one list that JavaScript reads after every call.
//!
//! A record is [`STRIDE`] numbers: its kind, then the members as `records.ts` names them. The list is made by a
//! call, read before the next one, and overwritten by it. What does not fit into numbers (texts,
//! frames, errors) waits beside it as a note, and a record says that there is one.

use std::cell::RefCell;

use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::Position;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::slot::{self, Handle};

/// Numbers per record: kind, subject, topic, epoch, offset, end, slot.
const STRIDE: usize = 7;

thread_local! {
    static RECORDS: RefCell<Records> = const { RefCell::new(Records { numbers: Vec::new(), notes: Vec::new() }) };
}

struct Records {
    numbers: Vec<f64>,
    notes: Vec<JsValue>,
}

/// One thing that JavaScript is told.
pub(crate) enum Record<'a> {
    /// A plain function is to be called with the arguments in `slot`.
    Call { gate: usize, slot: u32 },
    /// A publication for a subscription.
    One { subscription: u32, item: Item<'a> },
    /// A publication of a batch, of which more follows.
    Part { subscription: u32, item: Item<'a> },
    /// The last publication of a batch.
    LastPart { subscription: u32, item: Item<'a> },
    /// A subscription has ended with its topic.
    End {
        subscription: u32,
        reason: EndReason,
    },
    /// Publications were dropped for a subscription.
    Lagged { subscription: u32, missed: u64 },
    /// A publish has its position.
    Published { request: u64, position: Position },
    /// A transport with this number is to be opened.
    Connect { link: u32 },
    /// That transport is to be closed.
    Disconnect { link: u32 },
    /// A slot is no longer needed.
    SlotFreed { slot: u32 },
    /// A topic's number is no longer known.
    TopicForgotten { topic: usize },
    /// The next note tells it.
    Note,
    /// A plain function's gate is as good as new, and gone: the next call makes another one.
    GateIdle { gate: usize },
}

/// What a record says of a publication.
pub(crate) struct Item<'a> {
    pub(crate) payload: &'a Handle,
    pub(crate) position: Position,
    pub(crate) end: Option<EndReason>,
}

/// Adds to the list.
pub(crate) fn push(record: Record<'_>) {
    RECORDS.with_borrow_mut(|records| records.numbers.extend_from_slice(&numbers(&record)));
}

/// Adds what numbers can't tell.
pub(crate) fn push_note(note: JsValue) {
    push(Record::Note);
    RECORDS.with_borrow_mut(|records| records.notes.push(note));
}

/// Empties the list: JavaScript has read it.
pub(crate) fn begin() {
    RECORDS.with_borrow_mut(|records| {
        records.numbers.clear();
        records.notes.clear();
    });
}

/// Closes the list with the freed slots, and says how many records it holds.
pub(crate) fn finish() -> u32 {
    slot::for_each_freed(|slot| push(Record::SlotFreed { slot }));
    let count = RECORDS.with_borrow(|records| records.numbers.len() / STRIDE);
    u32::try_from(count).expect("a list fits into this memory")
}

/// Where the list begins, in bytes from the start of this memory.
#[wasm_bindgen]
pub fn records_at() -> *const f64 {
    RECORDS.with_borrow(|records| records.numbers.as_ptr())
}

/// The notes of the list, in order.
#[wasm_bindgen]
pub fn take_notes() -> Vec<JsValue> {
    RECORDS.with_borrow_mut(|records| std::mem::take(&mut records.notes))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "positions, requests and counts stay below 2^53"
)]
fn numbers(record: &Record<'_>) -> [f64; STRIDE] {
    let plain = |kind: u8, subject: f64| [f64::from(kind), subject, 0.0, 0.0, 0.0, 0.0, 0.0];
    let item = |kind: u8, subscription: u32, item: &Item<'_>| {
        [
            f64::from(kind),
            f64::from(subscription),
            f64::from(item.payload.topic()),
            item.position.epoch as f64,
            item.position.offset as f64,
            end_code(item.end),
            f64::from(item.payload.slot()),
        ]
    };
    match *record {
        Record::Call { gate, slot } => [0.0, gate as f64, 0.0, 0.0, 0.0, 0.0, f64::from(slot)],
        Record::One {
            subscription,
            item: ref it,
        } => item(1, subscription, it),
        Record::Part {
            subscription,
            item: ref it,
        } => item(2, subscription, it),
        Record::LastPart {
            subscription,
            item: ref it,
        } => item(3, subscription, it),
        Record::End {
            subscription,
            reason,
        } => {
            let mut numbers = plain(4, f64::from(subscription));
            numbers[5] = end_code(Some(reason));
            numbers
        }
        Record::Lagged {
            subscription,
            missed,
        } => {
            let mut numbers = plain(5, f64::from(subscription));
            numbers[4] = missed as f64;
            numbers
        }
        Record::Published { request, position } => {
            let mut numbers = plain(6, request as f64);
            numbers[3] = position.epoch as f64;
            numbers[4] = position.offset as f64;
            numbers
        }
        Record::Connect { link } => plain(7, f64::from(link)),
        Record::Disconnect { link } => plain(8, f64::from(link)),
        Record::SlotFreed { slot } => {
            let mut numbers = plain(9, 0.0);
            numbers[6] = f64::from(slot);
            numbers
        }
        Record::TopicForgotten { topic } => {
            let mut numbers = plain(10, 0.0);
            numbers[2] = topic as f64;
            numbers
        }
        Record::Note => plain(11, 0.0),
        Record::GateIdle { gate } => plain(12, gate as f64),
    }
}

fn end_code(end: Option<EndReason>) -> f64 {
    match end {
        None => 0.0,
        Some(EndReason::Complete) => 1.0,
        Some(EndReason::Failed) => 2.0,
        Some(EndReason::Cancelled) => 3.0,
    }
}

/// The end reason that a number from JavaScript stands for.
pub(crate) const fn end_of(code: u32) -> Option<EndReason> {
    match code {
        1 => Some(EndReason::Complete),
        2 => Some(EndReason::Failed),
        3 => Some(EndReason::Cancelled),
        _ => None,
    }
}
