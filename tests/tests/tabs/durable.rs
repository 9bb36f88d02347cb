//! Durable subscriptions of tabs, which are one device: what one of them has processed counts for all, and nothing is
//! lost with a tab that dies.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Publication;
use tidegate_tests::json::Json;
use tidegate_tests::tab_model::scene::{leader, numbers, publish, publish_all};
use tidegate_tests::tab_model::{Browser, Life, Path};
use tidegate_tests::{ms, pattern, secs, topic};

/// The tabs of a device, and what its handlers have processed.
struct Device {
    browser: Browser,
    to: &'static str,
    /// The records of its tabs, in the order in which they came.
    tabs: Vec<usize>,
    handled: BTreeSet<u64>,
}

impl Device {
    /// A device whose cursor exists, without tabs.
    fn new(path: Path) -> Self {
        Self::of(path, "job:1")
    }

    fn of(path: Path, to: &'static str) -> Self {
        let mut device = Self {
            browser: Browser::new(17, path),
            to,
            tabs: Vec::new(),
            handled: BTreeSet::new(),
        };
        let first = device.open();
        device.browser.run_for(secs(1));
        device.browser.close(device.page(first));
        device.browser.run_for(secs(1));
        device
    }

    fn open_with(&mut self, flow: Flow) -> usize {
        let page = self.browser.open();
        let record = self.browser.subscribe_durable(page, self.to, flow, "phone");
        self.tabs.push(record);
        record
    }

    fn open(&mut self) -> usize {
        self.open_with(Flow::IMMEDIATE)
    }

    fn page(&self, tab: usize) -> usize {
        self.browser.records[tab].peer
    }

    fn is_awake(&self, tab: usize) -> bool {
        self.browser.pages[self.page(tab)].life == Life::Awake
    }

    /// The tab deals with one of those that came to it.
    fn deal_with(&mut self, tab: usize, index: usize) {
        let came = self.browser.records[tab].publications();
        let came: Vec<Arc<Publication<Json>>> = came.map(|(_, one)| Arc::clone(one)).collect();
        if let Some(index) = index.checked_rem(came.len())
            && self.is_awake(tab)
        {
            let number = came[index].payload.0.as_u64().expect("a number");
            self.handled.insert(number);
            self.browser.deal_with(tab, &came[index]);
        }
    }

    fn deal_with_all(&mut self, tab: usize) {
        for index in 0..self.browser.records[tab].publications().count() {
            self.deal_with(tab, index);
        }
    }

    fn told(&self, tab: usize) -> Vec<u64> {
        numbers(&self.browser.records[tab])
    }

    /// Everything is well, and every tab deals with what it has: once for what there is, once for what others had left.
    fn calm_down(&mut self) {
        self.browser.set_network(true);
        for _ in 0..2 {
            self.browser.run_for(secs(60));
            for tab in self.tabs.clone() {
                self.deal_with_all(tab);
            }
        }
        self.browser.run_for(secs(5));
    }
}

#[test]
fn a_tab_that_joins_is_given_what_one_that_died_had_not_dealt_with() {
    for path in Path::ALL {
        let mut device = Device::new(path);
        // Another page keeps the connection, so that the one that dies is not missed.
        let keeper = device.browser.open();
        device.browser.subscribe(keeper, "job:2", Flow::IMMEDIATE);
        device.browser.run_for(secs(1));
        let dying = device.open();
        device.browser.run_for(secs(1));
        publish_all(&mut device.browser, 1..6);
        device.browser.run_for(ms(100));
        assert_eq!(device.told(dying), [1, 2, 3, 4, 5], "{path:?}");
        device.deal_with(dying, 0);
        device.browser.run_for(secs(3));
        device.browser.hang(device.page(dying));

        let heir = device.open();
        device.browser.run_for(secs(2));
        assert_eq!(device.told(heir), [2, 3, 4, 5], "{path:?}");
        // That it has dealt with the last one says nothing of those before.
        device.deal_with(heir, 3);
        device.browser.run_for(secs(3));
        device.browser.hang(device.page(heir));

        let last = device.open();
        device.browser.run_for(secs(2));
        assert_eq!(device.told(last), [2, 3, 4, 5], "{path:?}");
        device.deal_with_all(last);
        device.browser.run_for(secs(3));
        let late = device.open();
        device.browser.run_for(secs(2));
        assert_eq!(device.told(late), Vec::<u64>::new(), "{path:?}");
    }
}

#[test]
fn tabs_that_were_there_are_not_told_again_what_a_joining_one_is_given() {
    for path in Path::ALL {
        let mut device = Device::new(path);
        let first = device.open();
        device.browser.run_for(secs(1));
        publish_all(&mut device.browser, 1..4);
        let second = device.open();
        device.browser.run_for(secs(1));
        publish(&mut device.browser, 4);
        device.browser.run_for(secs(1));
        for tab in [first, second] {
            assert_eq!(device.told(tab), [1, 2, 3, 4], "{path:?}");
        }
    }
}

#[test]
fn a_tab_that_joins_another_leader_is_given_what_the_former_ones_tabs_have_left() {
    for path in [Path::Lock, Path::Claims] {
        let mut device = Device::new(path);
        let first = device.open();
        device.browser.run_for(secs(2));
        let second = device.open();
        device.browser.run_for(secs(2));
        publish_all(&mut device.browser, 1..4);
        device.browser.run_for(secs(1));
        assert_eq!(leader(&device.browser), device.page(first));
        device.browser.crash(device.page(first));
        device.browser.run_for(secs(60));
        assert_eq!(leader(&device.browser), device.page(second));
        let third = device.open();
        device.browser.run_for(secs(2));
        for tab in [second, third] {
            assert_eq!(device.told(tab), [1, 2, 3], "{path:?}");
        }
    }
}

#[test]
fn a_tab_that_conflates_does_not_speak_for_one_that_wants_everything() {
    for path in Path::ALL {
        let mut device = Device::new(path);
        let whole = device.open();
        device.browser.run_for(secs(1));
        let conflating = device.open_with(Flow::throttle(secs(1)));
        device.browser.run_for(secs(1));
        publish_all(&mut device.browser, 1..6);
        device.browser.run_for(secs(2));
        assert_eq!(device.told(whole), [1, 2, 3, 4, 5]);
        assert_eq!(device.told(conflating), [1, 5]);
        device.deal_with_all(conflating);
        device.deal_with(whole, 0);
        device.browser.run_for(secs(3));
        device.browser.close(device.page(whole));
        device.browser.close(device.page(conflating));
        device.browser.run_for(secs(3));
        let next = device.open();
        device.browser.run_for(secs(2));
        assert_eq!(device.told(next), [2, 3, 4, 5], "{path:?}");
    }
}

#[test]
fn a_tab_that_is_not_durable_starts_with_the_latest_value_beside_one_that_has_dealt_with_it() {
    for path in Path::ALL {
        for to in ["job:1", "job:*"] {
            let mut device = Device::of(path, to);
            let first = device.open();
            device.browser.run_for(secs(1));
            publish_all(&mut device.browser, 1..4);
            device.browser.run_for(secs(1));
            device.deal_with_all(first);
            device.browser.run_for(secs(3));
            device.browser.close(device.page(first));
            device.browser.run_for(secs(3));

            let durable = device.open();
            for wait in [0, 2_000] {
                device.browser.run_for(ms(wait));
                let page = device.browser.open();
                let plain = device.browser.subscribe(page, to, Flow::IMMEDIATE);
                device.browser.run_for(secs(2));
                assert_eq!(device.told(plain).last(), Some(&3), "{path:?} {to} {wait}");
            }
            publish(&mut device.browser, 4);
            device.browser.run_for(secs(1));
            assert_eq!(device.told(durable), [4], "{path:?} {to}");
        }
    }
}

#[test]
fn a_tab_that_joins_as_another_one_resumes_by_a_new_leader_is_given_what_nobody_has_dealt_with() {
    for path in Path::ALL {
        for to in ["job:1", "job:*"] {
            for after in (0..240).step_by(3) {
                let mut device = Device::of(path, to);
                let mut pages = Vec::new();
                for followed in [to, to, "job:2"] {
                    let page = device.browser.open();
                    device.browser.subscribe(page, followed, Flow::IMMEDIATE);
                    pages.push(page);
                    device.browser.run_for(ms(300));
                }
                let first = device.open();
                device.browser.run_for(secs(1));
                publish_all(&mut device.browser, 1..4);
                device.browser.run_for(ms(100));
                assert_eq!(device.told(first), [1, 2, 3], "{path:?} {to}");

                device.browser.close(pages[0]);
                device.browser.run_for(ms(after));
                let browser = &mut device.browser;
                let heir = browser.subscribe_durable(pages[2], to, Flow::IMMEDIATE, "phone");
                browser.run_for(secs(10));
                assert_eq!(device.told(heir), [1, 2, 3], "{path:?} {to} {after}");
            }
        }
    }
}

#[test]
fn a_device_that_has_left_before_the_connection_stands_costs_the_totals_of_others_nothing() {
    let sums = Flow::throttle(ms(300)).with_conflate(Conflate::Sum);
    let mut device = Device::of(Path::Lock, "job:1");
    let [old, new, behind] = [0; 3].map(|_| {
        let page = device.browser.open();
        device.browser.run_for(ms(300));
        page
    });
    let adds = device.browser.subscribe(behind, "job:1", sums);
    let durable = device.open();
    device.browser.run_for(secs(1));
    publish_all(&mut device.browser, 1..4);
    device.browser.run_for(secs(1));
    device.browser.set_network(false);
    publish_all(&mut device.browser, 4..8);
    device.browser.close(old);
    device.browser.subscribe(new, "job:1", sums);
    device.browser.run_for(secs(5));
    assert_eq!(leader(&device.browser), new);
    device.browser.close(device.page(durable));
    device.browser.run_for(secs(1));
    device.browser.set_network(true);
    device.browser.run_for(secs(60));
    assert_eq!(device.told(adds).iter().sum::<u64>(), 28);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Publish(&'static str),
    Deal(usize, usize),
    Close(usize),
    Crash(usize),
    Hang(usize),
    Wake(usize),
    Network(bool),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let tab = 0..8_usize;
    prop_oneof![
        3 => Just(Step::Open),
        8 => prop::sample::select(vec!["job:1", "job:2"]).prop_map(Step::Publish),
        8 => (tab.clone(), 0..40_usize).prop_map(|(tab, index)| Step::Deal(tab, index)),
        1 => tab.clone().prop_map(Step::Close),
        1 => tab.clone().prop_map(Step::Crash),
        1 => tab.clone().prop_map(Step::Hang),
        1 => tab.prop_map(Step::Wake),
        1 => any::<bool>().prop_map(Step::Network),
        6 => (1..4_000_u64).prop_map(Step::Pass),
    ]
}

fn take_step(device: &mut Device, published: &mut u64, step: Step) {
    let count = device.tabs.len();
    let tab_of = |which: usize| which.checked_rem(count);
    match step {
        Step::Open if count < 8 => {
            device.open();
        }
        Step::Open => {}
        Step::Publish(to) if pattern(device.to).matches(&topic(to)) => {
            *published += 1;
            let request = PublishRequest::new(topic(to), Json::from(*published));
            device.browser.publish(request).unwrap();
        }
        Step::Publish(_) => {}
        Step::Deal(which, index) => {
            if let Some(at) = tab_of(which) {
                device.deal_with(device.tabs[at], index);
            }
        }
        Step::Close(which) | Step::Crash(which) | Step::Hang(which) | Step::Wake(which) => {
            let Some(at) = tab_of(which) else { return };
            let page = device.page(device.tabs[at]);
            let life = device.browser.pages[page].life;
            match step {
                Step::Close(_) if life == Life::Awake => device.browser.close(page),
                Step::Crash(_) if life != Life::Gone => device.browser.crash(page),
                Step::Hang(_) if life == Life::Awake => device.browser.hang(page),
                Step::Wake(_) if life == Life::Cached => device.browser.wake(page),
                _ => {}
            }
        }
        Step::Network(is_up) => device.browser.set_network(is_up),
        Step::Pass(millis) => device.browser.run_for(ms(millis)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Tabs open, close, hang and die, and process what they get in any order. One of them processes each publication, no tab
    /// gets one twice, and a tab that opens after that gets nothing.
    #[test]
    fn everything_is_dealt_with_by_some_tab(
        path in prop::sample::select(Path::ALL.to_vec()),
        is_wild in any::<bool>(),
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut device = Device::of(path, if is_wild { "job:*" } else { "job:1" });
        let mut published = 0;
        for step in steps {
            take_step(&mut device, &mut published, step);
        }
        device.calm_down();
        device.open();
        device.calm_down();
        prop_assert_eq!(&device.handled, &(1..=published).collect(), "{:?}", path);
        for record in &device.browser.records {
            prop_assert_eq!(record.resets(), 0, "nothing was lost");
        }
        let last = device.open();
        device.browser.run_for(secs(5));
        prop_assert_eq!(device.told(last), Vec::<u64>::new(), "what was dealt with came back");
    }
}
