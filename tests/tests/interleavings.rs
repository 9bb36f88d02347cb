//! The lock-free structures that the server's threads share, in every order of their steps.
//!
//! The files are the server's own, with atomics that can be stepped through.

use std::collections::VecDeque;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

mod atomics {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
}

#[path = "../../native/src/shard/bell.rs"]
mod bell;

#[path = "../../native/src/backend/memory/room.rs"]
#[allow(dead_code, reason = "the server uses more of it")]
mod room;

use bell::Bell;
use room::Room;

const SENDERS: usize = 2;

/// How often a thread may be interrupted in the middle of its steps where all orders would be too many.
const PREEMPTIONS: usize = 3;

/// Where commands wait, and what wakes the shard: it stays rung until the shard has heard it.
struct Shard {
    bell: Bell,
    commands: Mutex<VecDeque<usize>>,
    is_rung: Mutex<bool>,
    rings: Condvar,
}

impl Shard {
    fn new() -> Self {
        Self {
            bell: Bell::new(),
            commands: Mutex::new(VecDeque::new()),
            is_rung: Mutex::new(false),
            rings: Condvar::new(),
        }
    }

    fn send(&self, command: usize) {
        self.bell.expect_one();
        self.commands.lock().unwrap().push_back(command);
        if self.bell.must_ring() {
            *self.is_rung.lock().unwrap() = true;
            self.rings.notify_one();
        }
    }

    /// One round of the shard: it sleeps if it may, and takes what is there.
    fn round(&self) -> usize {
        if self.bell.may_sleep() {
            let mut is_rung = self.is_rung.lock().unwrap();
            while !*is_rung {
                is_rung = self.rings.wait(is_rung).unwrap();
            }
            *is_rung = false;
        } else {
            // It looks for what sockets have, and others take their turn.
            thread::yield_now();
        }
        self.bell.announce_waking();
        let mut taken = 0;
        while self.commands.lock().unwrap().pop_front().is_some() {
            self.bell.count_taken();
            taken += 1;
        }
        taken
    }
}

#[test]
fn a_shard_never_sleeps_beside_a_command_that_waits() {
    // One that did would sleep for ever here, and that is an error of the model.
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(PREEMPTIONS);
    orders.check(|| {
        let shard = Arc::new(Shard::new());
        let senders: Vec<_> = (0..SENDERS)
            .map(|command| {
                let shard = Arc::clone(&shard);
                thread::spawn(move || shard.send(command))
            })
            .collect();
        let mut taken = 0;
        while taken < SENDERS {
            taken += shard.round();
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn there_are_never_more_topics_than_there_may_be() {
    loom::model(|| {
        let room = Arc::new(Room::new(1, usize::MAX));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let room = Arc::clone(&room);
                thread::spawn(move || {
                    let is_taken = room.take_topic();
                    if is_taken {
                        assert_eq!(room.topics(), 1);
                        room.give_back(0);
                    }
                    is_taken
                })
            })
            .collect();
        let taken = takers.into_iter().map(|taker| taker.join().unwrap());
        assert!(taken.filter(|is_taken| *is_taken).count() >= 1);
        assert_eq!(room.topics(), 0);
    });
}

#[test]
fn of_those_who_went_over_the_limit_of_bytes_at_least_one_is_told() {
    loom::model(|| {
        let room = Arc::new(Room::new(2, 10));
        let keepers: Vec<_> = (0..2)
            .map(|_| {
                let room = Arc::clone(&room);
                thread::spawn(move || room.change_bytes(0, 6))
            })
            .collect();
        let within = keepers.into_iter().map(|keeper| keeper.join().unwrap());
        assert!(within.filter(|is_within| !is_within).count() >= 1);
        room.change_bytes(6, 0);
        room.change_bytes(6, 0);
        assert!(room.has_bytes(0, 10));
    });
}
