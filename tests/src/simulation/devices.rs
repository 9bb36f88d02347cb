//! Devices that come and go: durable subscriptions of programs, and what their handlers have processed.
//!
//! A device is a name and a pattern. Every program that subscribes under it, one after the other or two at once, gets
//! what has not been processed yet; an application recognizes repetitions by topic, epoch and offset.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{Due, SubscriptionId};
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::Topic;

use super::System;
use super::finish::SETTLING;
use crate::json::Json;
use crate::pattern;
use crate::record::{Record, Seen};

/// The names and patterns of all devices. No other subscriber uses these patterns: if a pattern is durable for one
/// subscriber of a client, it is for all.
pub const DEVICES: [(&str, &str); 3] =
    [("phone", "*:1"), ("desk", "user:**"), ("phone", "*:*:log")];

/// The identity of a publication: topic, epoch and offset.
type Place = (Topic, u64, u64);

/// The history of one device.
#[derive(Debug, Default)]
pub(super) struct Device {
    /// What was processed, by any program.
    handled: BTreeSet<Place>,
    /// How often a program has become this device.
    lives: usize,
    /// Whether it was told that something is lost.
    has_losses: bool,
}

/// A program's durable subscription as a device.
#[derive(Debug)]
pub(super) struct Deal {
    pub(super) device: usize,
    pub(super) record: usize,
    /// The delivered publications that are not processed yet.
    unhandled: VecDeque<(Topic, Position)>,
}

impl System {
    /// Makes a program a device from now on, whenever it runs.
    pub(super) fn take_up(&mut self, program: usize, device: usize) {
        let is_up = self.programs[program].hub.is_some();
        if is_up && self.programs[program].owned.insert(device) {
            self.open_device(program, device);
        }
        self.settle();
    }

    pub(super) fn open_device(&mut self, program: usize, device: usize) {
        let (name, to) = DEVICES[device];
        self.note(format_args!("program {program} is {name} for {to}"));
        let now = self.programs[program].clock(self.now);
        let record = self.records.len();
        self.records
            .push(Record::new(now, program, pattern(to), Flow::IMMEDIATE));
        let request = SubscribeRequest {
            durable: Some(DurableName::new(name).expect("a name")),
            ..SubscribeRequest::new(pattern(to), Flow::IMMEDIATE)
        };
        let mut id = None;
        self.with_program(program, |hub, now| {
            let subscribed = hub.handle_subscribe(now, 0, request);
            id = Some(subscribed.expect("nothing speaks against it"));
        });
        let id = id.expect("the program is up");
        self.devices[device].lives += 1;
        self.programs[program].subscribers.insert(id, record);
        let deal = Deal {
            device,
            record,
            unhandled: VecDeque::new(),
        };
        self.programs[program].deals.insert(id, deal);
    }

    /// Takes note of what is due to a program, if it is for one of its devices.
    pub(super) fn note_device(&mut self, program: usize, id: SubscriptionId, due: &Due<Json>) {
        let Some(deal) = self.programs[program].deals.get_mut(&id) else {
            return;
        };
        match due {
            Due::Deliver { delivery, .. } => {
                for publication in delivery.emission.clone() {
                    let place = (publication.topic.clone(), publication.position);
                    deal.unhandled.push_back(place);
                }
            }
            Due::Reset { .. } | Due::Lagged { .. } => self.devices[deal.device].has_losses = true,
            Due::End { .. } | Due::Refused { .. } => panic!("{due:?} for a device"),
        }
    }

    /// Whether a record is of a durable subscription.
    pub(super) fn is_device(&self, record: usize) -> bool {
        let program = &self.programs[self.records[record].peer];
        program.deals.values().any(|deal| deal.record == record)
    }

    /// Whether any program has processed a publication as the device of this record: then no other program gets it.
    pub(super) fn was_dealt_with(
        &self,
        record: &Record,
        Publication {
            topic, position, ..
        }: &Publication<Json>,
    ) -> bool {
        let mut devices = DEVICES.iter().zip(&self.devices);
        let device = devices.find(|((_, to), _)| pattern(to) == record.pattern);
        let place = (topic.clone(), position.epoch, position.offset);
        device.is_some_and(|(_, device)| device.handled.contains(&place))
    }

    /// A program's handler processes something that was delivered: the oldest, or a later one.
    pub(super) fn handle_some(&mut self, program: usize, which: usize) {
        let waiting = self.programs[program].deals.iter();
        let waiting: Vec<(SubscriptionId, usize)> = waiting
            .filter(|(_, deal)| !deal.unhandled.is_empty())
            .map(|(id, deal)| (*id, deal.unhandled.len()))
            .collect();
        if let Some(index) = which.checked_rem(waiting.len()) {
            let (id, count) = waiting[index];
            self.handle_one(program, id, which % count.min(3));
        }
        self.settle();
    }

    fn handle_one(&mut self, program: usize, id: SubscriptionId, index: usize) {
        let deal = self.programs[program].deals.get_mut(&id);
        let deal = deal.expect("it is known");
        let (topic, position) = deal.unhandled.remove(index).expect("below a count");
        let device = deal.device;
        self.note(format_args!(
            "program {program} has dealt with {topic} {position} as {device}"
        ));
        let place = (topic.clone(), position.epoch, position.offset);
        self.devices[device].handled.insert(place);
        self.with_program(program, |hub, now| {
            hub.handle_handled(now, id, &topic, position);
        });
    }

    /// All handlers process everything that was delivered.
    pub(super) fn handle_all(&mut self) {
        for program in 0..self.programs.len() {
            let ids: Vec<SubscriptionId> = self.programs[program].deals.keys().copied().collect();
            for id in ids {
                while !self.programs[program].deals[&id].unhandled.is_empty() {
                    self.handle_one(program, id, 0);
                }
            }
        }
        self.settle();
    }

    /// Gives every device that ever had a program one again, so that everything unprocessed is delivered to some
    /// program.
    pub(super) fn take_up_all(&mut self) {
        for device in 0..DEVICES.len() {
            if self.devices[device].lives > 0 && !self.programs.is_empty() {
                self.take_up(device % self.programs.len(), device);
            }
        }
    }

    /// Restarts programs that are devices, without state, and checks that nothing is delivered again that was
    /// processed, once the program with the cursor has processed it.
    ///
    /// A cursor never goes back: if it is beyond what a failover has left of a topic, its device gets a reset each
    /// time.
    ///
    /// # Panics
    /// If something is.
    pub(super) fn check_cursors(&mut self) {
        let is_device = |program: &usize| !self.programs[*program].deals.is_empty();
        let all: Vec<usize> = (0..self.programs.len()).filter(is_device).collect();
        for _ in 0..2 {
            self.handle_all();
            self.run_for(SETTLING);
            for program in &all {
                self.stop_program(*program, false);
            }
            for program in &all {
                self.start_program(*program);
            }
            self.run_for(SETTLING);
        }
        for program in all {
            for deal in self.programs[program].deals.values() {
                let told = &self.records[deal.record].seen;
                let is_taken_back = matches!(told.first(), Some((_, Seen::Reset(..))));
                assert!(
                    told.is_empty() || (self.world.store.has_lost_tails && is_taken_back),
                    "device {} is told again of {told:#?}",
                    deal.device
                );
            }
        }
    }

    /// Checks that a device that was never told of a loss has processed everything of an epoch between its first and
    /// its last processed publication, and everything up to the end of the topic's last epoch.
    ///
    /// If the device's server has no link, it may miss an epoch that begins and ends before anything of the topic was
    /// acknowledged, if the topic has restarted since. So may a device that was away while the topic was forgotten.
    ///
    /// # Panics
    /// If something is missing.
    pub(super) fn check_devices(&self) {
        if self.world.store.is_tainted || self.programs.is_empty() {
            return;
        }
        let mut epochs: BTreeMap<(&Topic, u64), Vec<u64>> = BTreeMap::new();
        let mut last: BTreeMap<&Topic, u64> = BTreeMap::new();
        for publication in &self.world.store.stored {
            let Position { epoch, offset } = publication.position;
            let offsets = epochs.entry((&publication.topic, epoch)).or_default();
            offsets.push(offset);
            last.insert(&publication.topic, epoch);
        }
        for (device, known) in self.devices.iter().enumerate() {
            if known.lives == 0 || known.has_losses {
                continue;
            }
            let to = pattern(DEVICES[device].1);
            let own = epochs.iter().filter(|((topic, _), _)| to.matches(topic));
            for ((topic, epoch), offsets) in own {
                let is_handled = |offset: &u64| {
                    let place = ((*topic).clone(), *epoch, *offset);
                    known.handled.contains(&place)
                };
                let is_last = last[topic] == *epoch;
                if !is_last && self.may_have_forgotten {
                    continue;
                }
                let end = if is_last {
                    offsets.len()
                } else {
                    offsets
                        .iter()
                        .rposition(is_handled)
                        .map_or(0, |last| last + 1)
                };
                let first = offsets.iter().position(is_handled).unwrap_or(0);
                let missing = offsets[..end]
                    .iter()
                    .skip(first)
                    .find(|known| !is_handled(known));
                assert_eq!(
                    missing, None,
                    "device {device} has not dealt with it, of {topic} in {epoch}"
                );
            }
        }
    }
}
