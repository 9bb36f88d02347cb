//! Throttled and debounced functions: gates over slots that hold the arguments of calls.
//!
//! A call passes its gate as a publication, as updates for subscribers do, so that the module contains the gate's code
//! only once.

use alloc::sync::Arc;

use slab::Slab;
use tidegate_core::flow::{Flow, Pace};
use tidegate_core::gate::Gate;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::timer::Timers;
use tidegate_core::topic::Topic;

use crate::clock::{deadline_ms, duration, instant};
use crate::exports::exports;
use crate::machines::Machines;
use crate::records::{self, Record};
use crate::slot::Handle;

static GATES: Machines<FunctionGates> = Machines::new();

/// Makes an empty set of gates; returns its number.
#[unsafe(no_mangle)]
extern "C" fn gates_new() -> u32 {
    // SAFETY: this exported function uses no gates.
    unsafe { GATES.add(FunctionGates::new()) }
}

exports! { GATES:
    gates_throttle = throttle(every_ms: f64, leading: bool, trailing: bool) -> u32;
    gates_debounce = debounce(quiet_ms: f64, max_wait_ms: f64, leading: bool, trailing: bool) -> u32;
    gates_handle_call = handle_call(now_ms: f64, gate: u32, slot: u32) -> u32;
    gates_handle_held = handle_held(at_ms: f64, gate: u32, slot: u32);
    gates_handle_flush = handle_flush(now_ms: f64, gate: u32) -> u32;
    gates_handle_cancel = handle_cancel(now_ms: f64, gate: u32) -> u32;
    gates_handle_timeout = handle_timeout(now_ms: f64) -> u32;
    gates_is_pending = is_pending(gate: u32) -> bool;
    gates_poll_timeout = poll_timeout() -> f64;
}

/// The gates of all throttled and debounced functions that share a clock.
///
/// A gate lives from a call until nothing is pending and no window is open; then its number may be reused.
#[derive(Debug)]
struct FunctionGates {
    gates: Slab<Gate<Arc<Publication<Handle>>>>,
    timers: Timers,
    /// The topic to which calls are nominally published.
    topic: Topic,
}

impl FunctionGates {
    fn new() -> Self {
        Self {
            gates: Slab::new(),
            timers: Timers::new(),
            topic: Topic::new("call").expect("a topic"),
        }
    }

    /// A gate that throttles to one emission per `every_ms`.
    fn throttle(&mut self, every_ms: f64, leading: bool, trailing: bool) -> u32 {
        self.add(Pace::Throttle {
            every: duration(every_ms),
            leading,
            trailing,
        })
    }

    /// A gate that debounces; `max_wait_ms` is NaN for none.
    fn debounce(&mut self, quiet_ms: f64, max_wait_ms: f64, leading: bool, trailing: bool) -> u32 {
        self.add(Pace::Debounce {
            quiet: duration(quiet_ms),
            max_wait: (!max_wait_ms.is_nan()).then(|| duration(max_wait_ms)),
            leading,
            trailing,
        })
    }

    fn add(&mut self, pace: Pace) -> u32 {
        let gate = self.gates.insert(Gate::new(Flow {
            pace,
            ..Flow::IMMEDIATE
        }));
        u32::try_from(gate).expect("fewer than 2^32 gates fit into this memory")
    }

    /// The function was called with the arguments in `slot`.
    fn handle_call(&mut self, now_ms: f64, gate: u32, slot: u32) -> u32 {
        records::begin();
        let call = self.call(slot);
        self.gates[gate as usize].handle_value(instant(now_ms), call);
        self.settle(gate);
        records::finish()
    }

    /// The last call while the gate rested was at `at_ms`, with the arguments in `slot`. It makes nothing due.
    ///
    /// Must be called before any other call about the gate, and before `handle_timeout`.
    fn handle_held(&mut self, at_ms: f64, gate: u32, slot: u32) {
        let call = self.call(slot);
        let machine = &mut self.gates[gate as usize];
        machine.handle_value(instant(at_ms), call);
        if let Some(at) = machine.poll_timeout() {
            self.timers.arm(gate, at);
        }
    }

    fn call(&self, slot: u32) -> Arc<Publication<Handle>> {
        Arc::new(Publication {
            topic: self.topic.clone(),
            position: Position::default(),
            payload: Handle::without_topic(slot),
            end: None,
        })
    }

    /// Makes the pending call due at once, if there is one.
    fn handle_flush(&mut self, now_ms: f64, gate: u32) -> u32 {
        records::begin();
        self.gates[gate as usize].handle_flush(instant(now_ms));
        self.settle(gate);
        records::finish()
    }

    /// Drops the pending call, if there is one.
    fn handle_cancel(&mut self, now_ms: f64, gate: u32) -> u32 {
        records::begin();
        self.gates[gate as usize].handle_cancel(instant(now_ms));
        self.settle(gate);
        records::finish()
    }

    /// Emits what is due.
    fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        records::begin();
        let now = instant(now_ms);
        while let Some(gate) = self.timers.expire(now) {
            self.gates[gate as usize].handle_timeout(now);
            self.settle(gate);
        }
        records::finish()
    }

    /// Whether a call is pending in a gate.
    fn is_pending(&self, gate: u32) -> bool {
        self.gates[gate as usize].is_pending()
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    fn poll_timeout(&self) -> f64 {
        deadline_ms(self.timers.poll_timeout())
    }

    fn settle(&mut self, gate: u32) {
        let machine = &mut self.gates[gate as usize];
        while let Some(emission) = machine.poll_output() {
            for call in emission {
                records::push(Record::Call {
                    gate: gate as usize,
                    slot: call.payload.slot(),
                });
            }
        }
        if machine.is_idle() {
            self.timers.disarm(gate);
            self.gates.remove(gate as usize);
            records::push(Record::GateIdle {
                gate: gate as usize,
            });
            return;
        }
        let rests_until = machine.rests_until();
        if let Some(at) = rests_until.or_else(|| machine.poll_timeout()) {
            self.timers.arm(gate, at);
        }
        if rests_until.is_some() {
            records::push(Record::GateRests {
                gate: gate as usize,
                until_ms: deadline_ms(rests_until),
            });
        }
    }
}
