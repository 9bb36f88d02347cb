//! Small scenes of tabs that all subscribe to one topic, to which numbers are published.

use core::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::presence::Key;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::topic::Topic;

use super::{Browser, Machine, Path};
use crate::json::Json;
use crate::record::Record;
use crate::{ms, topic};

/// Tabs that are opened one after the other, and all subscribe to `job:1`; the first one leads, or a worker.
pub fn tabs(path: Path, count: usize) -> Browser {
    tabs_of(Browser::new(7, path), count)
}

/// The same in an existing browser.
pub fn tabs_of(mut browser: Browser, count: usize) -> Browser {
    for _ in 0..count {
        let page = browser.open();
        browser.subscribe(page, "job:1", Flow::IMMEDIATE);
        browser.run_for(ms(300));
    }
    browser
}

/// The server publishes a number.
///
/// # Panics
/// If it refuses.
pub fn publish(browser: &mut Browser, number: u64) {
    let request = PublishRequest::new(topic("job:1"), Json::from(number));
    browser.publish(request).unwrap();
}

/// Publishes numbers, one every 5 ms.
pub fn publish_all(browser: &mut Browser, numbers: core::ops::Range<u64>) {
    for number in numbers {
        publish(browser, number);
        browser.run_for(ms(5));
    }
}

/// The numbers that a subscriber was told of.
///
/// # Panics
/// If it was told of something else.
pub fn numbers(record: &Record) -> Vec<u64> {
    let values = record.values();
    values.iter().map(|value| value.as_u64().unwrap()).collect()
}

/// The leader.
///
/// # Panics
/// If there is not exactly one.
pub fn leader(browser: &Browser) -> usize {
    let leaders = browser.leaders();
    assert_eq!(leaders.len(), 1, "{leaders:?} lead");
    leaders[0]
}

/// The indices of the tabs, without the workers.
pub fn indices(browser: &Browser) -> Vec<usize> {
    let pages = browser.pages.iter().enumerate();
    let tabs = pages.filter(|(_, page)| page.is_open_tab());
    tabs.map(|(page, _)| page).collect()
}

/// Waits for a leader other than `old` that is connected; returns how long it took.
pub fn next_leader(browser: &mut Browser, old: usize) -> Duration {
    browser.run_until(|browser| {
        let leaders = browser.leaders();
        leaders.iter().any(|page| *page != old) && browser.server.counts().subscriptions > 1
    })
}

impl Browser {
    /// A page watches the presences of a topic.
    pub fn watch(&mut self, page: usize, room: &Topic) {
        let now = self.now;
        self.with_tab(page, |hub| hub.handle_watch(now, room));
    }

    /// A page is present in a topic.
    pub fn track(&mut self, page: usize, room: &Topic, key: &Key, meta: Json) {
        let now = self.now;
        self.with_tab(page, |hub| {
            hub.handle_track(now, room.clone(), key.clone(), meta);
        });
    }

    /// A page is present in a topic. Returns its number for it.
    pub fn come(&mut self, page: usize, room: &Topic, key: &Key, meta: Json) -> u64 {
        let now = self.now;
        let mut number = 0;
        self.with_tab(page, |hub| {
            number = hub.handle_track(now, room.clone(), key.clone(), meta);
        });
        number
    }

    /// A page's presence ends.
    pub fn go(&mut self, page: usize, number: u64) {
        let now = self.now;
        self.with_tab(page, |hub| hub.handle_untrack(now, number));
    }

    /// How many metas a key has, according to a watching page.
    pub fn metas(&self, page: usize, room: &Topic, key: &Key) -> usize {
        let Machine::Tab(hub) = &self.pages[page].machine else {
            return 0;
        };
        hub.roster(room)
            .map_or(0, |roster| roster.metas(key).count())
    }
}
