//! What is counted.

mod edges;
mod hubs;
mod parts;

use std::hint::black_box;

use crate::allocator::allocations;

/// The function below which instructions are counted, as callgrind knows it.
pub(crate) const COUNTED: &str = "tidegate_counted";

/// A path through the core.
pub(crate) struct Case {
    /// Its name in the table: without spaces.
    pub(crate) name: &'static str,
    /// Sets up what it needs and calls [`counted`] once.
    act: fn(),
}

/// All of them, in the table's order.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "router/subscribe+unsubscribe",
        act: parts::router_subscribe,
    },
    Case {
        name: "router/exact",
        act: parts::router_exact,
    },
    Case {
        name: "router/pattern",
        act: parts::router_pattern,
    },
    Case {
        name: "history/append",
        act: parts::history_append,
    },
    Case {
        name: "history/recover-100",
        act: parts::history_recover,
    },
    Case {
        name: "timers/move-later",
        act: parts::timers_move,
    },
    Case {
        name: "timers/expire+arm",
        act: parts::timers_expire,
    },
    Case {
        name: "gate/hold-back",
        act: parts::gate_hold_back,
    },
    Case {
        name: "gate/debounce",
        act: parts::gate_debounce,
    },
    Case {
        name: "outbox/push+pop",
        act: parts::outbox_push_pop,
    },
    Case {
        name: "hub/subscribe",
        act: hubs::subscribe,
    },
    Case {
        name: "hub/unsubscribe",
        act: hubs::unsubscribe,
    },
    Case {
        name: "hub/publish-1",
        act: hubs::publish_1,
    },
    Case {
        name: "hub/publish-100",
        act: hubs::publish_100,
    },
    Case {
        name: "hub/publish-100-by-pattern",
        act: hubs::publish_100_by_pattern,
    },
    Case {
        name: "hub/publish-100-held-back",
        act: hubs::publish_100_held_back,
    },
    Case {
        name: "hub/publish-100-debounced",
        act: hubs::publish_100_debounced,
    },
    Case {
        name: "hub/gates-due",
        act: hubs::gates_due,
    },
    Case {
        name: "server-hub/fan-out-100",
        act: edges::server_fan_out,
    },
    Case {
        name: "server-hub/spread-100",
        act: edges::server_spread,
    },
    Case {
        name: "client-hub/receive",
        act: edges::client_receive,
    },
    Case {
        name: "presence/track+untrack",
        act: edges::presence_track,
    },
    Case {
        name: "presence/merge-100",
        act: edges::presence_merge,
    },
];

/// Executes the case with this name, and tells how many operations were counted.
pub(crate) fn execute(name: &str) {
    let case = CASES.iter().find(|case| case.name == name);
    (case.expect("a case of the table").act)();
}

/// Executes `act` for each of `operations` numbers, counting; `parts` is how many things each does that are told
/// apart, such as deliveries of one publication.
fn counted(operations: u32, parts: u32, mut act: impl FnMut(u32)) {
    let before = allocations();
    tidegate_counted(&mut || (0..operations).for_each(&mut act));
    let allocations = allocations() - before;
    println!("operations: {}", operations * parts);
    println!("allocations: {allocations}");
}

/// Has a name that no compiler changes.
#[unsafe(no_mangle)]
#[inline(never)]
fn tidegate_counted(act: &mut dyn FnMut()) {
    act();
    // Not left by a jump, or callgrind would not see the end.
    black_box(());
}
