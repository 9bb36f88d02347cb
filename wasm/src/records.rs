//! Outputs as numbers: the one list that JavaScript reads after every call.
//!
//! A record is [`STRIDE`] numbers: its kind, then the members as `records.ts` names them. The list is written by a
//! call, read before the next one, and overwritten by it. Outputs that are not numbers (frames, errors) are in one text
//! beside the list, in the same order; a record says how much of the text belongs to it.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::lifecycle::{EndReason, StatedEnd};
use tidegate_core::publication::Position;

use crate::json::Object;
use crate::single::Single;
use crate::slot::{self, Handle};

/// Numbers per record: kind, subject, topic, epoch, offset, end, slot.
const STRIDE: usize = 7;

static RECORDS: Single<Records> = Single::new(Records {
    numbers: Vec::new(),
    texts: String::new(),
});

struct Records {
    numbers: Vec<f64>,
    texts: String,
}

/// One output for JavaScript.
pub(crate) enum Record<'a> {
    /// A plain function is to be called with the arguments in `slot`.
    Call { gate: usize, slot: u32 },
    /// A publication for a subscription, and whether the subscription is paced.
    One {
        subscription: u32,
        item: Item<'a>,
        is_paced: bool,
    },
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
    /// A note: the next `length` characters of the text.
    Note { length: usize },
    /// A plain function's gate is idle, and was removed: the next call makes another one.
    GateIdle { gate: usize },
    /// Until then, in the host's milliseconds, only the last call of a plain function counts: the gate need not be told
    /// of the others, and of that one only before any other call about the gate.
    GateRests { gate: usize, until_ms: f64 },
    /// A frame to be sent: the next `length` characters of the text, without its data. It begins a new message, or goes
    /// into that of the frame before it.
    Send {
        length: usize,
        data: Option<u32>,
        begins_message: bool,
    },
    /// A publication of this page was stored.
    Stored { position: Position },
    /// A licence: until then, in the host's milliseconds, the publications that directly follow the current one may be
    /// handed on without asking, to the subscriptions that got it unpaced in this list. The core must learn of the last
    /// `kept`.
    Licensed { kept: usize, until_ms: f64 },
    /// All licences have ended.
    LicencesEnded,
    /// The payload in `slot` fills the next hole of the message that follows.
    Data { slot: u32 },
    /// A message to the other tabs: the next `length` characters of the text, with holes for its data.
    Post { length: usize },
}

/// A publication in a record.
pub(crate) struct Item<'a> {
    pub(crate) payload: &'a Handle,
    pub(crate) position: Position,
    pub(crate) end: Option<EndReason>,
}

/// Adds to the list.
pub(crate) fn push(record: Record<'_>) {
    RECORDS
        .borrow()
        .numbers
        .extend_from_slice(&numbers(&record));
}

/// Adds to the text, and returns the length of the addition.
pub(crate) fn add_text(text: &str) -> usize {
    RECORDS.borrow().texts.push_str(text);
    text.len()
}

/// Adds a note, for outputs that are not numbers.
pub(crate) fn push_note(note: Object) {
    let length = add_text(&note.close());
    push(Record::Note { length });
}

/// Empties the list: JavaScript has read it.
pub(crate) fn begin() {
    let mut records = RECORDS.borrow();
    records.numbers.clear();
    records.texts.clear();
}

/// Ends the list with the freed slots, and returns its number of records.
pub(crate) fn finish() -> u32 {
    slot::for_each_freed(|slot| push(Record::SlotFreed { slot }));
    let count = RECORDS.borrow().numbers.len() / STRIDE;
    u32::try_from(count).expect("a list fits into this memory")
}

/// Where the list begins, in bytes from the start of this memory.
#[unsafe(no_mangle)]
extern "C" fn records_at() -> *const f64 {
    RECORDS.borrow().numbers.as_ptr()
}

/// Where the text beside the list begins.
#[unsafe(no_mangle)]
extern "C" fn told_at() -> *const u8 {
    RECORDS.borrow().texts.as_ptr()
}

/// The length of the text beside the list, in bytes, each of which is a character.
#[unsafe(no_mangle)]
extern "C" fn told_length() -> usize {
    RECORDS.borrow().texts.len()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "positions, requests and counts stay below 2^53"
)]
fn numbers(record: &Record<'_>) -> [f64; STRIDE] {
    let plain = |kind: u8, subject: f64| [f64::from(kind), subject, 0.0, 0.0, 0.0, 0.0, 0.0];
    let until = |kind: u8, subject: usize, until_ms: f64| {
        let mut numbers = plain(kind, subject as f64);
        numbers[4] = until_ms;
        numbers
    };
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
            is_paced,
        } => item(if is_paced { 18 } else { 1 }, subscription, it),
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
        Record::Note { length } => plain(11, length as f64),
        Record::GateIdle { gate } => plain(12, gate as f64),
        Record::GateRests { gate, until_ms } => until(17, gate, until_ms),
        Record::Send {
            length,
            data,
            begins_message,
        } => {
            let mut numbers = plain(13, length as f64);
            numbers[5] = f64::from(begins_message);
            numbers[6] = data.map_or(-1.0, f64::from);
            numbers
        }
        Record::Stored { position } => {
            let mut numbers = plain(14, 0.0);
            numbers[3] = position.epoch as f64;
            numbers[4] = position.offset as f64;
            numbers
        }
        Record::Licensed { kept, until_ms } => until(15, kept, until_ms),
        Record::LicencesEnded => plain(16, 0.0),
        Record::Data { slot } => {
            let mut numbers = plain(20, 0.0);
            numbers[6] = f64::from(slot);
            numbers
        }
        Record::Post { length } => plain(21, length as f64),
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

/// The stated end that a number from JavaScript stands for.
pub(crate) fn stated_end_of(code: u32) -> Option<StatedEnd> {
    match code {
        4 => Some(StatedEnd::None),
        _ => end_of(code).map(StatedEnd::from),
    }
}

/// The position that two numbers from JavaScript stand for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are whole numbers below 2^53, and a cast saturates"
)]
pub(crate) const fn position(epoch: f64, offset: f64) -> Position {
    Position {
        epoch: epoch as u64,
        offset: offset as u64,
    }
}
