//! Batches that wait for their pace: their size is limited, and reported.

use core::num::NonZeroU32;
use core::time::Duration;

use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::*;
use crate::flow::Conflate;
use crate::gate::{Emission, Gate};
use crate::limits::{BATCHES_BYTES_MAX, COLLECT_BYTES_MAX, COLLECT_MAX};
use crate::payload::opaque::Opaque;
use crate::publication::Combine;

/// A payload that claims this size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Large(usize);

impl Opaque for Large {
    fn bytes(&self) -> usize {
        self.0
    }
}

impl Combine for Large {
    fn merge_over(self, _older: &Self) -> Self {
        self
    }

    fn add_to(self, _older: &Self) -> Self {
        self
    }

    fn bytes(&self) -> usize {
        self.0
    }
}

const WINDOW: Duration = Duration::from_secs(60);

fn collecting() -> Flow {
    let max = NonZeroU32::new(COLLECT_MAX).unwrap();
    Flow::throttle(WINDOW).with_conflate(Conflate::Collect { max })
}

fn emitted(gate: &mut Gate<Large>) -> Vec<usize> {
    let emissions = core::iter::from_fn(|| gate.poll_output());
    emissions
        .map(|emission| match emission {
            Emission::One(_) => 1,
            Emission::Batch(batch) => batch.len(),
        })
        .collect()
}

#[test]
fn a_batch_that_holds_much_leaves_though_it_is_of_few() {
    let mut gate = Gate::new(collecting());
    let value = Large(COLLECT_BYTES_MAX as usize / 4);
    let mut left = Vec::new();
    for _ in 0..10 {
        gate.handle_value(Instant::ZERO, value);
        left.extend(emitted(&mut gate));
    }
    assert_eq!(left, [1, 4, 4], "the first opens the window, and one waits");
    assert_eq!(gate.batch_bytes() as usize, value.0);
    gate.handle_timeout(Instant::ZERO + WINDOW);
    assert_eq!(emitted(&mut gate), [1]);
    assert_eq!(gate.batch_bytes(), 0);
}

#[test]
fn what_becomes_a_batch_counts_and_what_is_none_any_more_does_not() {
    let throttled = Flow::throttle(WINDOW);
    let mut gate = Gate::new(throttled);
    for _ in 0..2 {
        gate.handle_value(Instant::ZERO, Large(100));
    }
    assert_eq!(gate.batch_bytes(), 0);
    gate.handle_flow(Instant::ZERO, collecting());
    assert_eq!(gate.batch_bytes(), 100);
    gate.handle_value(Instant::ZERO, Large(50));
    assert_eq!(gate.batch_bytes(), 150);
    gate.handle_flow(Instant::ZERO, throttled);
    assert_eq!(gate.batch_bytes(), 0);
}

#[test]
fn all_batches_together_hold_so_much_and_nothing_is_lost() {
    let mut hub: Hub<Large> = Hub::new(HubConfig::new(1));
    let request = SubscribeRequest::new("job:*".parse().unwrap(), collecting());
    let id = hub.handle_subscribe(Instant::ZERO, 1, &request).unwrap().id;
    let value = Large(COLLECT_BYTES_MAX as usize / 2);
    let topics = 2 * BATCHES_BYTES_MAX / value.0;
    let mut delivered = 0;
    let mut highest = 0;
    for _ in 0..2 {
        for topic in 0..topics {
            let topic = format!("job:{topic}").parse().unwrap();
            let publish = PublishRequest::new(topic, value);
            hub.handle_publish(Instant::ZERO, publish).unwrap();
            delivered += core::iter::from_fn(|| hub.poll_output()).count();
            highest = highest.max(hub.batches_bytes());
        }
    }
    assert_eq!(highest, BATCHES_BYTES_MAX);
    let waiting = hub.batches_bytes() / value.0;
    assert_eq!(delivered + waiting, 2 * topics);
    hub.handle_unsubscribe(id);
    assert_eq!(hub.batches_bytes(), 0);
}

proptest! {
    #[test]
    fn what_is_counted_is_what_waits(
        steps in prop::collection::vec((0..3_usize, 0..40_u64, 0..5_u32), 1..80),
    ) {
        let mut hub: Hub<Large> = Hub::new(HubConfig::new(1));
        let mut now = Instant::ZERO;
        let flow = |every: u64, max| {
            let conflate = NonZeroU32::new(max).map(|max| Conflate::Collect { max });
            let throttled = Flow::throttle(Duration::from_millis(every + 1));
            throttled.with_conflate(conflate.unwrap_or(Conflate::Latest))
        };
        let request = |to: &str| SubscribeRequest::new(to.parse().unwrap(), flow(20, 4));
        let mut ids = Vec::new();
        for to in ["a", "*"] {
            ids.push(hub.handle_subscribe(now, 1, &request(to)).unwrap().id);
        }
        for (what, millis, max) in steps {
            now = now + Duration::from_millis(millis);
            hub.handle_timeout(now);
            match what {
                0 | 1 => {
                    let topic = ["a", "b"][what].parse().unwrap();
                    hub.handle_publish(now, PublishRequest::new(topic, Large(1))).unwrap();
                }
                _ => {
                    let id = ids[millis as usize % 2];
                    hub.handle_flow(now, id, flow(millis, max)).unwrap();
                }
            }
            while hub.poll_output().is_some() {}
            let waiting: usize = hub.subscribers.waiting_in_batches();
            prop_assert_eq!(hub.batches_bytes(), waiting);
        }
        for id in ids {
            hub.handle_unsubscribe(id);
        }
        prop_assert_eq!(hub.batches_bytes(), 0);
    }
}
