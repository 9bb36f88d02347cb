//! The machine that applies a flow to one subscription.
//!
//! A [`Gate`] stands between publications and one subscriber. Values go in as they arrive; those that the subscriber's
//! [`Flow`] lets through come out when it says.
//!
//! # Driving it
//! 1. `handle_*` when something happens, with the time at which it does.
//! 2. [`Gate::poll_output`] until it returns `None`.
//! 3. [`Gate::poll_timeout`]: call [`Gate::handle_timeout`] then. Calling it later is harmless (one emission, never a
//!    burst); calling it earlier does nothing.
//!
//! Every `handle_*` first does what is due by its `now`. So if a timer and a call have the same time, the timer takes
//! effect first, in whichever order they reach the gate. A `now` before the latest one counts as the latest.
//!
//! # What it promises
//! - The emissions of a throttled gate are never closer together than `every`, except those that its owner requests (a
//!   flush, what comes after a cancel, a terminal publication) and full batches.
//! - With a trailing edge, the last value is never lost; under [`Conflate::Collect`] none is.
//! - Values leave in the order in which they arrived. The same inputs give the same outputs.

use alloc::vec::{self, Vec};
use core::iter::Chain;
use core::option;
use core::time::Duration;

use crate::flow::{Conflate, Flow};
use crate::limits::COLLECT_BYTES_MAX;
use crate::publication::Combine;
use crate::time::Instant;

mod debounce;
mod feed;
mod held;
mod leftovers;
mod machine;
mod ready;
mod span;
mod throttle;

use held::Held;
use machine::{Arrival, Edges, Machine};
use ready::Ready;
use span::{CLOCK_END, Span};

/// What a gate emits at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Emission<V> {
    /// One value: as it came, or several combined.
    One(V),
    /// Values in the order of their arrival, at least one. Whatever a pace lets through under [`Conflate::Collect`] is
    /// a batch, except a terminal value.
    Batch(Vec<V>),
}

impl<V> IntoIterator for Emission<V> {
    type Item = V;
    type IntoIter = Chain<option::IntoIter<V>, vec::IntoIter<V>>;

    /// The values, oldest first.
    fn into_iter(self) -> Self::IntoIter {
        let (one, batch) = match self {
            Self::One(value) => (Some(value), Vec::new()),
            Self::Batch(values) => (None, values),
        };
        one.into_iter().chain(batch)
    }
}

/// The flow control of one subscription to one topic.
///
/// Its size does not depend on what it has seen, except for a pending batch (bounded by its `max`) and outputs that
/// have not been taken.
#[derive(Debug)]
pub struct Gate<V> {
    machine: Machine,
    edges: Edges,
    is_closed: bool,
    conflate: Conflate,
    held: Held<V>,
    /// The bytes in the pending batch. Four bytes, because there may be a million gates; a batch that exceeds them is
    /// full anyway.
    batch_bytes: u32,
    ready: Ready<V>,
    latest: Instant,
}

impl<V: Combine> Gate<V> {
    /// A gate that no value has passed through.
    ///
    /// Any flow will do: durations are rounded up to whole microseconds, at least one. Check flows from outsiders with
    /// [`Flow::validate`] first.
    pub fn new(flow: Flow) -> Self {
        Self {
            machine: Machine::new(flow.pace),
            edges: flow.pace.into(),
            is_closed: false,
            conflate: flow.conflate,
            held: Held::new(),
            batch_bytes: 0,
            ready: Ready::Empty,
            latest: Instant::ZERO,
        }
    }

    /// The flow that the gate applies.
    pub fn flow(&self) -> Flow {
        Flow {
            pace: self.machine.pace(self.edges),
            conflate: self.conflate,
            delta: false,
        }
    }

    /// A value arrives.
    ///
    /// A closed gate ignores it: nothing follows a terminal value.
    pub fn handle_value(&mut self, now: Instant, value: V) {
        let Some(now) = self.advance(now) else { return };
        match self.machine.on_value(now, self.edges.leading) {
            Arrival::Pass => self.ready.push(Emission::One(value)),
            Arrival::Emit => {
                self.hold(value);
                self.emit_held();
            }
            Arrival::Hold => {
                // Without a trailing edge, something is pending only after a change of flow. It will be emitted, so it
                // should be as new as possible.
                if self.edges.trailing || self.is_pending() {
                    self.hold(value);
                    self.emit_full(now);
                }
            }
        }
        self.debug_assert_settled();
    }

    /// Several values arrive together, oldest first: one emission of a collecting gate upstream.
    ///
    /// They count as one arrival. If the gate lets it through, they are emitted as one batch.
    pub fn handle_batch(&mut self, now: Instant, values: Vec<V>) {
        let Some(now) = self.advance(now) else { return };
        if values.is_empty() {
            return;
        }
        let arrival = self.machine.on_value(now, self.edges.leading);
        if arrival == Arrival::Pass {
            self.ready.push(Emission::Batch(values));
            return;
        }
        if arrival == Arrival::Emit || self.edges.trailing || self.is_pending() {
            for value in values {
                self.hold(value);
                self.emit_full(now);
            }
        }
        if arrival == Arrival::Emit {
            self.emit_held();
        }
        self.debug_assert_settled();
    }

    /// The terminal value arrives. What is pending is emitted, then this value, at once and whatever the pace. From
    /// then on, the gate is closed.
    pub fn handle_terminal(&mut self, now: Instant, value: V) {
        if self.advance(now).is_some() {
            self.emit_held();
            self.ready.push(Emission::One(value));
            self.is_closed = true;
        }
    }

    /// Emits what is pending at once; does nothing if nothing is.
    ///
    /// The pace counts from here: a throttle's next window, a debounce's `max_wait`.
    pub fn handle_flush(&mut self, now: Instant) {
        let Some(now) = self.advance(now) else { return };
        self.machine.flush(now, self.is_pending());
        self.emit_held();
        self.settle(now);
    }

    /// Drops what is pending and forgets the window: the next value is treated as the first.
    pub fn handle_cancel(&mut self, now: Instant) {
        if self.advance(now).is_some() {
            self.take_held();
            self.machine.cancel();
            self.debug_assert_settled();
        }
    }

    /// Changes the flow. The same flow again changes nothing.
    ///
    /// What is pending stays, conflated by the new rule, and is emitted when the new pace says, even if that has no
    /// trailing edge: at once if that time is already past, but under a throttle never closer than `every` to the last
    /// emission. A throttle's window counts from when it opened, a debounce's durations from the last call and the last
    /// emission. If a throttle becomes a debounce, the change counts as the last call of what is pending.
    pub fn handle_flow(&mut self, now: Instant, flow: Flow) {
        let Some(now) = self.advance(now) else { return };
        let current = self.flow();
        if current.conflate != flow.conflate {
            self.conflate = flow.conflate;
            self.held.reshape(flow.conflate);
            self.batch_bytes = as_u32(self.held.batch_bytes());
        }
        if current.pace != flow.pace {
            self.edges = flow.pace.into();
            if self.machine.change(now, flow.pace, self.is_pending()) {
                self.emit_held();
            }
        }
        self.emit_full(now);
        self.debug_assert_settled();
    }

    /// From now on, values come from a throttle upstream with windows of this length; `None`: they come as they are
    /// published.
    ///
    /// A throttle that is fed by a finer one, and has something pending, ends its window with the value that arrives
    /// nearest to its end: at most half a window of the feed earlier, or that and an eighth (but no more than 50 ms)
    /// later.
    pub fn handle_feed(&mut self, now: Instant, window: Option<Duration>) {
        let Some(now) = self.advance(now) else { return };
        self.machine.set_feed(window.map(Span::from));
        self.settle(now);
    }

    /// Handles deadlines up to `now`: at most one emission, however late.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.advance(now).is_some() {
            self.debug_assert_settled();
        }
    }

    /// The next emission. Call this after every `handle_*` until it returns `None`.
    pub fn poll_output(&mut self) -> Option<Emission<V>> {
        self.ready.pop()
    }

    /// When to call [`Self::handle_timeout`]: something pending is emitted then, or a window ends and the gate may
    /// become idle. Always later than the last `now`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed {
            return None;
        }
        self.machine.deadline(self.is_pending())
    }

    /// The time before which only the last of the arriving values counts: a caller that passes only that one, with the
    /// time of its arrival and before any other call, gets the same outputs as with all of them. `None` if each value
    /// counts.
    ///
    /// If only values arrive, the gate has no deadline before that time.
    pub fn rests_until(&self) -> Option<Instant> {
        if self.is_closed || self.conflate != Conflate::Latest {
            return None;
        }
        self.machine
            .rests_until()
            .filter(|until| *until > self.latest)
    }

    /// The bytes in a pending batch.
    pub const fn batch_bytes(&self) -> u32 {
        self.batch_bytes
    }

    /// Treats a pending batch as full, whatever its limits, so that it is emitted.
    pub fn handle_full(&mut self) {
        if !self.is_closed && self.batch_bytes > 0 {
            self.machine.restart(self.latest);
            self.emit_held();
            self.debug_assert_settled();
        }
    }

    /// Returns whether a value is pending.
    pub fn is_pending(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns whether nothing is pending, no window is open, and all outputs have been taken.
    ///
    /// To save memory, an owner may then drop the gate and create one with the same flow when the next value arrives.
    /// There is no difference, unless the flow of the new gate is changed: it doesn't know the last emission that it
    /// would have to keep its distance from. A closed gate is not idle.
    pub fn is_idle(&self) -> bool {
        !self.is_closed && self.poll_timeout().is_none() && self.ready.is_empty()
    }

    /// Brings the gate to `now`, or to the latest time seen, and emits what is due. `None` if it is closed.
    fn advance(&mut self, now: Instant) -> Option<Instant> {
        if self.is_closed {
            return None;
        }
        self.latest = self.latest.max(now.min(CLOCK_END));
        self.settle(self.latest);
        Some(self.latest)
    }

    fn settle(&mut self, now: Instant) {
        if self.machine.on_due(now, self.is_pending()) {
            self.emit_held();
        }
        self.debug_assert_settled();
    }

    fn emit_full(&mut self, now: Instant) {
        if self.held.is_full(self.conflate) || self.batch_bytes >= COLLECT_BYTES_MAX {
            self.machine.restart(now);
            self.emit_held();
        }
    }

    fn emit_held(&mut self) {
        if let Some(emission) = self.take_held() {
            self.ready.push(emission);
        }
    }

    fn hold(&mut self, value: V) {
        if let Conflate::Collect { .. } = self.conflate {
            self.batch_bytes = self.batch_bytes.saturating_add(as_u32(value.bytes()));
        }
        self.held.push(self.conflate, value);
    }

    fn take_held(&mut self) -> Option<Emission<V>> {
        self.batch_bytes = 0;
        self.held.take()
    }

    fn debug_assert_settled(&self) {
        debug_assert!(
            self.poll_timeout()
                .is_none_or(|deadline| deadline > self.latest),
            "a deadline that has passed is left"
        );
        debug_assert!(
            !self.is_pending() || self.poll_timeout().is_some(),
            "a pending value waits for no deadline"
        );
    }
}

fn as_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
