//! Hosts that wake a machine although it has asked for nothing yet: that must change nothing.
//!
//! A host may have one timer for many machines, or a timer that comes too soon. What a machine does by a deadline it does
//! when that is reached, and not when somebody asks.

use core::any::type_name;
use core::fmt::Debug;

use tidegate_core::hub::{ClientHub, ServerHub};
use tidegate_core::presence;
use tidegate_core::progress;
use tidegate_core::session::Session;
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::tab_model::Machine;

/// A machine that asks to be woken.
pub trait Woken {
    /// When it must be woken at the latest.
    fn deadline(&self) -> Option<Instant>;

    /// Wakes it.
    fn wake(&mut self, now: Instant);
}

impl Woken for ServerHub<Json> {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl Woken for ClientHub<Json> {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl Woken for Machine {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl Woken for Session<Json> {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl Woken for presence::Tracker<Json> {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

impl Woken for progress::Tracker {
    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn wake(&mut self, now: Instant) {
        self.handle_timeout(now);
    }
}

/// Wakes a machine before its deadline, unless that is reached. What it wanted done must have been done; `next` is the
/// next thing now.
///
/// # Panics
/// If it has done anything.
pub fn wake_early<M: Woken, T: Debug>(
    machine: &mut M,
    now: Instant,
    next: impl FnOnce(&mut M) -> Option<T>,
) {
    let deadline = machine.deadline();
    if deadline.is_some_and(|at| at <= now) {
        return;
    }
    machine.wake(now);
    assert_eq!(
        machine.deadline(),
        deadline,
        "the deadline of {} has moved by a call before it, at {now:?}",
        type_name::<M>()
    );
    if let Some(done) = next(machine) {
        let name = type_name::<M>();
        panic!("{name} has done something before its time, at {now:?}: {done:?}");
    }
}
