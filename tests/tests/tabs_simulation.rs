//! Browsers with many tabs, to which everything happens in random order: who gets what, and what is left behind.
//!
//! `TIDEGATE_TABS_SEEDS` says how many seeds to run for each path, `TIDEGATE_TABS_FIRST` which comes first, and
//! `TIDEGATE_TABS_LOG` where the log of a run that fails is written to.

use std::panic::{AssertUnwindSafe, catch_unwind};

use core::time::Duration;

use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_tests::json::Json;
use tidegate_tests::tab_model::{Browser, Life, Path};
use tidegate_tests::{ms, secs, topic};

/// Things that happen in a run.
const STEPS: u64 = 90;

/// The most pages that are open at once.
const PAGES_MAX: usize = 8;

const TOPICS: [&str; 4] = ["job:1", "job:2", "job:3", "user:1"];
const PATTERNS: [&str; 6] = ["job:1", "job:2", "job:3", "user:1", "job:*", "**"];

struct Run {
    browser: Browser,
    number: u64,
    /// Publishes of pages that still run: by whom, which request, which number.
    asked: Vec<(usize, u64)>,
}

impl Run {
    fn new(seed: u64, path: Path) -> Self {
        Self {
            browser: Browser::new(seed, path),
            number: 0,
            asked: Vec::new(),
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.browser.pick(one_in - 1) == 0
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        let last = u64::try_from(from.len() - 1).unwrap();
        from[usize::try_from(self.browser.pick(last)).unwrap()]
    }

    /// A page in this state, if there is one.
    fn page(&mut self, life: Life) -> Option<usize> {
        let pages = self.browser.pages.iter().enumerate();
        let found: Vec<usize> = pages
            .filter(|(_, page)| page.is_open_tab() && page.life == life)
            .map(|(page, _)| page)
            .collect();
        (!found.is_empty()).then(|| self.choose(&found))
    }

    fn open(&mut self) {
        let open = self.browser.pages.iter().filter(|page| page.is_open_tab());
        if open.count() < PAGES_MAX {
            let page = self.browser.open();
            for _ in 0..=self.browser.pick(2) {
                self.subscribe(page);
            }
        }
    }

    fn subscribe(&mut self, page: usize) {
        let flow = match self.browser.pick(9) {
            0 => Flow::throttle(secs(10)),
            1 => Flow::throttle(ms(300)),
            2 => Flow::debounce(ms(200)),
            3 => Flow::throttle(ms(500)).with_conflate(Conflate::Sum),
            _ => Flow::IMMEDIATE,
        };
        let to = self.choose(&PATTERNS);
        self.browser.subscribe(page, to, flow);
    }

    fn unsubscribe(&mut self, page: usize) {
        let records = self.browser.records.iter().enumerate();
        let own: Vec<usize> = records
            .filter(|(_, record)| record.peer == page && !record.is_gone && !record.is_over())
            .map(|(index, _)| index)
            .collect();
        if !own.is_empty() {
            let record = self.choose(&own);
            self.browser.unsubscribe(record);
        }
    }

    fn request(&mut self) -> PublishRequest<Json> {
        self.number += 1;
        let end = self.chance(25).then_some(EndReason::Complete);
        PublishRequest {
            end,
            restart: true,
            ..PublishRequest::new(topic(self.choose(&TOPICS)), self.number.into())
        }
    }

    fn publish(&mut self) {
        for _ in 0..=self.browser.pick(4) {
            let request = self.request();
            self.browser.publish(request).unwrap();
            let pause = ms(self.browser.pick(20));
            self.browser.run_for(pause);
        }
    }

    fn act(&mut self) {
        match self.browser.pick(30) {
            0..=9 => self.publish(),
            10..=12 => self.open(),
            13..=14 => self.on_page(Life::Awake, Self::subscribe),
            15 => self.on_page(Life::Awake, Self::unsubscribe),
            16..=17 => self.on_page(Life::Awake, |run, page| {
                let request = run.request();
                let number = run.browser.publish_from(page, request);
                run.asked.push((page, number));
            }),
            18 => self.on_page(Life::Awake, |run, page| run.browser.close(page)),
            19 => self.on_page(Life::Awake, |run, page| run.browser.crash(page)),
            20 => self.on_page(Life::Awake, |run, page| run.browser.freeze(page)),
            21 => self.on_page(Life::Awake, |run, page| run.browser.freeze_at_once(page)),
            22 => self.on_page(Life::Awake, |run, page| run.browser.cache(page)),
            23 | 24 => self.on_page(Life::Frozen, |run, page| run.browser.wake(page)),
            25 => self.on_page(Life::Cached, |run, page| run.browser.wake(page)),
            28 => self.on_page(Life::Awake, |run, page| run.browser.hang(page)),
            26 => self.on_page(Life::Frozen, |run, page| run.browser.crash(page)),
            27 => {
                let is_up = self.browser.is_network_up;
                let change = !is_up || self.chance(3);
                self.browser.set_network(is_up != change);
            }
            _ => self.on_page(Life::Awake, |run, page| {
                let is_visible = run.chance(2);
                let late = [Duration::ZERO, secs(1), secs(60)];
                let lateness = if is_visible {
                    Duration::ZERO
                } else {
                    run.choose(&late)
                };
                run.browser.show(page, is_visible, lateness);
            }),
        }
    }

    /// What happens to the leader is what matters most: half of what happens to a page happens to it.
    fn on_page(&mut self, life: Life, act: impl FnOnce(&mut Self, usize)) {
        let leader = self.browser.leaders().first().copied();
        let leader = leader.filter(|leader| {
            let page = &self.browser.pages[*leader];
            page.is_open_tab() && page.life == life
        });
        let page = match leader {
            Some(leader) if self.chance(2) => Some(leader),
            Some(_) | None => self.page(life),
        };
        if let Some(page) = page {
            act(self, page);
        }
    }

    fn pause(&mut self) {
        let most = self.choose(&[0, 2, 30, 30, 300, 300, 3_000, 15_000, 70_000]);
        let pause = ms(self.browser.pick(most));
        self.browser.run_for(pause);
    }

    fn run(&mut self) {
        self.open();
        self.open();
        for _ in 0..STEPS {
            self.act();
            self.pause();
        }
        self.browser.heal();
        self.browser.check_converged();
        for (page, request) in &self.asked {
            let page = &self.browser.pages[*page];
            if page.is_open_tab() {
                let answer = page.published.get(request);
                assert!(matches!(answer, Some(Ok(_))), "{request}: {answer:?}");
            }
        }
        self.check_published_once();
        self.browser.check_leaves_nothing();
    }

    fn check_published_once(&self) {
        let mut numbers: Vec<u64> = self
            .browser
            .truth
            .iter()
            .filter_map(|(_, publication)| publication.payload.0.as_u64())
            .collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "something was published twice");
    }
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn simulate(path: Path) {
    let first = number_from("TIDEGATE_TABS_FIRST", 0);
    let seeds = number_from("TIDEGATE_TABS_SEEDS", 25);
    for seed in first..first + seeds {
        let mut run = Run::new(seed, path);
        if catch_unwind(AssertUnwindSafe(|| run.run())).is_err() {
            if let Ok(file) = std::env::var("TIDEGATE_TABS_LOG") {
                std::fs::write(file, run.browser.log.as_bytes()).expect("the log can be written");
            }
            panic!("seed {seed} fails by {path:?}");
        }
        if seed % 10 == 0 {
            let mut again = Run::new(seed, path);
            again.run();
            let is_same = again.browser.log == run.browser.log;
            assert!(is_same, "seed {seed} had another outcome");
        }
    }
}

#[test]
fn by_a_lock_everybody_converges_on_one_connection() {
    simulate(Path::Lock);
}

#[test]
fn without_locks_everybody_converges_on_one_connection() {
    simulate(Path::Claims);
}

#[test]
fn with_a_worker_everybody_converges_on_one_connection() {
    simulate(Path::Worker);
}
