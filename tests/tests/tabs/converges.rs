//! Tabs share a connection. They open and close, crash, sleep, and change their leader and their pace. Each still gets what
//! it would get alone, whether as published, summed or merged. A device gets everything, whichever of its tabs come and go.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::protocol::{PublishRequest, Start};
use tidegate_tests::combined::{
    Constant, Device, PATTERNS, TOPICS, any_flow, any_patch, check, tops,
};
use tidegate_tests::json::Json;
use tidegate_tests::record::Record;
use tidegate_tests::tab_model::scene::indices;
use tidegate_tests::tab_model::{Browser, Life, Path};
use tidegate_tests::{ms, secs, topic};

const PAGES_MAX: usize = 5;

#[derive(Clone, Debug)]
enum Op {
    Publish {
        topic: usize,
        patch: Json,
    },
    Open {
        pattern: usize,
        flow: Flow,
    },
    Subscribe {
        which: usize,
        pattern: usize,
        flow: Flow,
        is_new: bool,
    },
    SubscribeDurable {
        which: usize,
        pattern: usize,
    },
    Deal {
        which: usize,
        count: usize,
    },
    Reflow {
        which: usize,
        flow: Flow,
    },
    Unsubscribe {
        which: usize,
    },
    Befall {
        which: usize,
        what: Fate,
    },
    LoseLock,
    Network,
    Wait {
        ms: u64,
    },
}

/// An event in the life of a page.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Close,
    Crash,
    Freeze,
    FreezeAtOnce,
    Wake,
}

/// Any flow, often one that sums or merges at the pace of other subscribers.
fn any_combined() -> impl Strategy<Value = Flow> {
    let often = (prop::sample::select(vec![100, 300]), any::<bool>());
    let often = often.prop_map(|(every, adds)| {
        let conflate = if adds { Conflate::Sum } else { Conflate::Merge };
        Flow::throttle(ms(every)).with_conflate(conflate)
    });
    let sums = Just(Flow::throttle(ms(300)).with_conflate(Conflate::Sum));
    prop_oneof![3 => sums, 2 => often, 2 => any_flow()]
}

fn any_op() -> impl Strategy<Value = Op> {
    let fate = prop::sample::select(vec![
        Fate::Close,
        Fate::Crash,
        Fate::Freeze,
        Fate::FreezeAtOnce,
        Fate::Wake,
        Fate::Wake,
    ]);
    let pattern = || 0..PATTERNS.len();
    prop_oneof![
        16 => (0..TOPICS.len(), any_patch()).prop_map(|(topic, patch)| Op::Publish { topic, patch }),
        3 => (pattern(), any_combined()).prop_map(|(pattern, flow)| Op::Open { pattern, flow }),
        2 => (any::<usize>(), pattern(), any_combined(), prop::bool::weighted(0.2))
            .prop_map(|(which, pattern, flow, is_new)| Op::Subscribe { which, pattern, flow, is_new }),
        1 => (any::<usize>(), pattern()).prop_map(|(which, pattern)| Op::SubscribeDurable { which, pattern }),
        1 => (any::<usize>(), 0..30_usize).prop_map(|(which, count)| Op::Deal { which, count }),
        1 => (any::<usize>(), any_combined()).prop_map(|(which, flow)| Op::Reflow { which, flow }),
        1 => any::<usize>().prop_map(|which| Op::Unsubscribe { which }),
        2 => (any::<usize>(), fate).prop_map(|(which, what)| Op::Befall { which, what }),
        1 => prop_oneof![Just(Op::LoseLock), Just(Op::Network)],
        8 => prop_oneof![4 => 0..30_u64, 3 => 0..300_u64, 1 => 0..9_000_u64].prop_map(|ms| Op::Wait { ms }),
    ]
}

#[derive(Debug)]
struct Scene {
    browser: Browser,
    constant: Vec<Constant>,
    device: Device,
}

impl Scene {
    fn subscribe(&mut self, page: usize, pattern: &str, flow: Flow, start: Start) {
        // If others in its page follow the pattern, it starts with what the page has, which may be one message behind other pages.
        let records = self.browser.records.iter();
        let of_page = records.clone().filter(|record| record.peer == page);
        let is_followed = |record: &Record| !record.is_gone && record.pattern.as_str() == pattern;
        let tops = if of_page.clone().any(is_followed) {
            tops(of_page, pattern)
        } else {
            tops(records, pattern)
        };
        let record = self.browser.subscribe_from(page, pattern, flow, start);
        self.constant.push(Constant { record, tops });
    }

    fn some_page(&self, which: usize) -> Option<usize> {
        let pages = indices(&self.browser);
        pages.get(which % pages.len().max(1)).copied()
    }

    fn some_record(&self, which: usize) -> Option<usize> {
        let records = self.browser.records.iter().enumerate();
        let here = records.filter(|(_, record)| self.is_here(record));
        let here: Vec<usize> = here.map(|(index, _)| index).collect();
        here.get(which % here.len().max(1)).copied()
    }

    fn is_here(&self, record: &Record) -> bool {
        !record.is_gone && self.browser.pages[record.peer].life == Life::Awake
    }

    fn subscribe_durable(&mut self, which: usize, pattern: &str) {
        if let Some(page) = self.some_page(which)
            && self.browser.pages[page].life == Life::Awake
        {
            let browser = &mut self.browser;
            let record = browser.subscribe_durable(page, pattern, Flow::IMMEDIATE, "phone");
            self.device.note_subscriber(record, &browser.records);
        }
    }

    /// One of the device's subscribers processes the first publication that it got.
    fn deal(&mut self, which: usize, count: usize) {
        let records = &self.browser.records;
        let there = self.device.subscribers(records);
        let there = there.filter(|record| self.is_here(&records[*record]));
        let there: Vec<usize> = there.collect();
        let Some(record) = there.get(which % there.len().max(1)) else {
            return;
        };
        let told = records[*record].publications();
        let told: Vec<_> = told.take(count).map(|(_, one)| Arc::clone(one)).collect();
        for publication in told {
            let known = &self.browser.records[*record];
            let now = self.browser.now;
            self.device.note_dealt(now, known, &publication);
            self.browser.deal_with(*record, &publication);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Publish { topic: to, patch } => {
                let request = PublishRequest::new(topic(TOPICS[to]), patch);
                self.browser.publish(request).expect("the topic is open");
            }
            Op::Open { pattern, flow } => {
                if indices(&self.browser).len() < PAGES_MAX {
                    let page = self.browser.open();
                    self.subscribe(page, PATTERNS[pattern], flow, Start::Latest);
                }
            }
            Op::Subscribe {
                which,
                pattern,
                flow,
                is_new,
            } => {
                // A resumed wildcard subscription gets unknown topics from their beginning, even if it had not named a position for them.
                let start = if is_new && PATTERNS[pattern] != "job:*" {
                    Start::New
                } else {
                    Start::Latest
                };
                if let Some(page) = self.some_page(which)
                    && self.browser.pages[page].life == Life::Awake
                {
                    self.subscribe(page, PATTERNS[pattern], flow, start);
                }
            }
            Op::SubscribeDurable { which, pattern } => {
                self.subscribe_durable(which, PATTERNS[pattern]);
            }
            Op::Deal { which, count } => self.deal(which, count),
            Op::Reflow { which, flow } => {
                if let Some(record) = self.some_record(which)
                    && !self.device.is_subscriber(record)
                {
                    self.browser.set_flow(record, flow);
                    self.constant.retain(|known| known.record != record);
                }
            }
            Op::Unsubscribe { which } => {
                if let Some(record) = self.some_record(which) {
                    self.browser.unsubscribe(record);
                }
            }
            Op::Befall { which, what } => self.befall(which, what),
            Op::LoseLock => self.browser.lose_lock(),
            Op::Network => {
                let is_up = self.browser.is_network_up;
                self.browser.set_network(!is_up);
            }
            Op::Wait { ms: millis } => self.browser.run_for(ms(millis)),
        }
    }

    fn befall(&mut self, which: usize, what: Fate) {
        let Some(page) = self.some_page(which) else {
            return;
        };
        let browser = &mut self.browser;
        match (what, browser.pages[page].life) {
            (Fate::Close, Life::Awake) => browser.close(page),
            (Fate::Crash, Life::Awake) => browser.crash(page),
            (Fate::Freeze, Life::Awake) => browser.freeze(page),
            (Fate::FreezeAtOnce, Life::Awake) => browser.freeze_at_once(page),
            (Fate::Wake, Life::Frozen | Life::Cached) => browser.wake(page),
            (_, Life::Awake | Life::Frozen | Life::Cached | Life::Gone) => {}
        }
    }
}

fn run(path: Path, ops: Vec<Op>, seed: u64) {
    let mut scene = Scene {
        browser: Browser::new(seed, path),
        constant: Vec::new(),
        device: Device::default(),
    };
    for op in ops {
        scene.act(op);
    }
    let Scene {
        mut browser,
        constant,
        device,
    } = scene;
    browser.heal();
    // Subscribers that start with new publications would otherwise have nothing to check.
    for to in TOPICS {
        let request = PublishRequest::new(topic(to), Json(json!({ "done": 1 })));
        browser.publish(request).expect("the topic is open");
    }
    browser.run_for(secs(10));
    browser.check_converged();
    assert!(browser.records.iter().all(|record| record.resets() == 0));
    for Constant { record, tops } in constant {
        let record = &browser.records[record];
        // A subscriber that loses the leader right after its confirmation, and got nothing yet, gets everything.
        check(&browser.truth, record, &tops, !record.pattern.is_exact());
    }
    device.check(&browser.records);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_tab_has_what_was_published_whole_added_up_or_merged(
        path in prop::sample::select(Path::ALL.to_vec()),
        ops in prop::collection::vec(any_op(), 1..120),
        seed: u64,
    ) {
        run(path, ops, seed);
    }
}
