//! Hosts that wake a machine before its deadline, which must change nothing.
//!
//! A host may have one timer for many machines, or a timer that fires early. A machine must act when its deadline is
//! reached, not when it is woken.

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

/// Wakes a machine, unless its deadline is reached. Its outputs must have been taken before; `next` takes the next one.
///
/// # Panics
/// If waking it has any effect.
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
