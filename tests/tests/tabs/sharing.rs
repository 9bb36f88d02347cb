//! What the tabs of a browser share, and what each has for itself; each rule in a small scene.

use tidegate_core::client::ConnectionState;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::presence::Key;
use tidegate_core::protocol::{PublishRequest, Start};
use tidegate_tests::json::Json;
use tidegate_tests::tab_model::scene::{indices, numbers, publish, publish_all, tabs, tabs_of};
use tidegate_tests::tab_model::{Browser, Path};
use tidegate_tests::{ms, secs, topic};

#[test]
fn ten_tabs_cost_the_server_one_connection_and_one_subscription() {
    for path in Path::ALL {
        let mut browser = tabs(path, 10);
        assert_eq!(browser.server.connections() - 1, 1, "{path:?}");
        assert_eq!(browser.server.counts().subscriptions - 1, 1);
        publish_all(&mut browser, 0..20);
        browser.run_for(ms(100));
        for record in &browser.records {
            assert_eq!(numbers(record), Vec::from_iter(0..20), "{path:?}");
        }
        browser.check_converged();
        browser.check_leaves_nothing();
    }
}

#[test]
fn followers_see_the_leaders_connection_as_theirs() {
    for path in Path::ALL {
        let mut browser = tabs(path, 3);
        browser.set_network(false);
        browser.run_for(secs(70));
        for page in browser.pages.iter().filter(|page| page.is_open_tab()) {
            let state = page.states.last().map(|(_, state)| state.clone());
            assert_ne!(state, Some(ConnectionState::Connected), "{path:?}");
        }
        publish(&mut browser, 1);
        browser.set_network(true);
        browser.run_for(secs(40));
        for page in browser.pages.iter().filter(|page| page.is_open_tab()) {
            let state = page.states.last().map(|(_, state)| state.clone());
            assert_eq!(state, Some(ConnectionState::Connected), "{path:?}");
        }
        for record in &browser.records {
            assert_eq!(numbers(record), [1], "{path:?}");
        }
        browser.check_converged();
    }
}

#[test]
fn each_tab_is_paced_for_itself_and_the_server_is_asked_for_the_finest() {
    let mut browser = Browser::new(3, Path::Lock);
    let (slow, slower) = (browser.open(), browser.open());
    browser.subscribe(slow, "job:1", Flow::throttle(secs(1)));
    browser.subscribe(slower, "job:1", Flow::throttle(secs(4)));
    browser.run_for(secs(1));
    for number in 0..1600 {
        publish(&mut browser, number);
        browser.run_for(ms(5));
    }
    browser.run_for(secs(5));
    let counts: Vec<usize> = browser.records.iter().map(|r| r.values().len()).collect();
    assert!((9..=10).contains(&counts[0]), "{counts:?}");
    assert!((3..=4).contains(&counts[1]), "{counts:?}");
    let sent = browser.log.matches("over 0 < {\"type\":\"pub\"").count();
    assert!(sent <= 10, "{sent} publications for a throttle of 1 s");
    browser.check_converged();

    // This subscriber wants every publication: from here on, none is missing.
    let record = browser.subscribe(slower, "job:*", Flow::IMMEDIATE);
    let third = browser.open();
    let lossless = browser.subscribe(third, "job:1", Flow::IMMEDIATE);
    browser.run_for(secs(1));
    for number in 1600..1700 {
        publish(&mut browser, number);
        browser.run_for(ms(5));
    }
    browser.run_for(secs(1));
    for record in [record, lossless] {
        assert_eq!(
            numbers(&browser.records[record]),
            Vec::from_iter(1599..1700)
        );
    }
}

#[test]
fn a_terminal_reaches_tabs_that_throttle_at_ten_seconds_at_once() {
    for path in Path::ALL {
        let mut browser = Browser::new(5, path);
        for _ in 0..4 {
            let page = browser.open();
            browser.subscribe(page, "job:1", Flow::throttle(secs(10)));
        }
        browser.run_for(secs(1));
        publish_all(&mut browser, 0..10);
        let last = PublishRequest {
            end: Some(EndReason::Complete.into()),
            ..PublishRequest::new(topic("job:1"), Json::from(99))
        };
        browser.publish(last).unwrap();
        browser.run_for(ms(100));
        for record in &browser.records {
            assert!(record.is_over(), "{path:?}");
            assert_eq!(numbers(record).last(), Some(&99));
        }
        browser.run_for(ms(100));
        assert_eq!(browser.server.counts().subscriptions - 1, 0);
    }
}

#[test]
fn a_tab_that_comes_late_gets_the_latest_value_without_asking_the_server() {
    let mut browser = tabs(Path::Lock, 2);
    publish_all(&mut browser, 0..10);
    browser.run_for(ms(100));
    let before = browser.log.matches("\"type\":\"subscribe\"").count();
    let page = browser.open();
    let record = browser.subscribe(page, "job:1", Flow::IMMEDIATE);
    browser.run_for(ms(300));
    assert_eq!(numbers(&browser.records[record]), [9]);
    assert_eq!(
        browser.log.matches("\"type\":\"subscribe\"").count(),
        before
    );
}

#[test]
fn a_tab_that_only_wants_what_is_new_keeps_nothing_from_those_who_want_the_latest() {
    let mut browser = Browser::new(9, Path::Lock);
    publish(&mut browser, 1);
    let first = browser.open();
    let new = browser.subscribe_from(first, "job:1", Flow::IMMEDIATE, Start::New);
    browser.run_for(secs(1));
    let second = browser.open();
    let latest = browser.subscribe(second, "job:1", Flow::IMMEDIATE);
    browser.run_for(secs(1));
    publish(&mut browser, 2);
    browser.run_for(secs(1));
    assert_eq!(numbers(&browser.records[new]), [2]);
    assert_eq!(numbers(&browser.records[latest]), [1, 2]);
}

#[test]
fn a_tab_that_was_away_for_longer_than_the_history_is_told_so_and_no_other() {
    let sums = Flow::throttle(ms(200)).with_conflate(Conflate::Sum);
    for to in ["job:1", "job:*"] {
        let mut browser = Browser::new(9, Path::Lock);
        let [stays, sleeps] = [0, 1].map(|_| {
            let page = browser.open();
            browser.subscribe(page, to, sums)
        });
        let total = |browser: &Browser, record: usize| -> u64 {
            numbers(&browser.records[record]).into_iter().sum()
        };
        browser.run_for(secs(1));
        let count = |browser: &mut Browser, times: u64| {
            for _ in 0..times {
                publish(browser, 1);
                browser.run_for(ms(5));
            }
        };
        count(&mut browser, 10);
        browser.run_for(secs(1));
        browser.freeze(browser.records[sleeps].peer);
        count(&mut browser, 1_000);
        browser.wake(browser.records[sleeps].peer);
        count(&mut browser, 500);
        browser.run_for(secs(1));
        assert_eq!(total(&browser, stays), 1_510, "{to}");
        assert_eq!(browser.records[stays].losses(), 0, "{to}");
        assert_eq!(browser.records[sleeps].losses(), 1, "{to}");
        browser.check_converged();
    }
}

#[test]
fn publishes_of_all_tabs_happen_once_through_any_leader() {
    for path in Path::ALL {
        let mut browser = tabs(path, 4);
        let mut asked = Vec::new();
        let pages = indices(&browser);
        for number in 0..40 {
            let page = pages[1 + usize::try_from(number % 3).unwrap()];
            let request = PublishRequest::new(topic("job:1"), Json::from(number));
            asked.push((page, browser.publish_from(page, request)));
            browser.run_for(ms(3));
            if number == 20 {
                browser.crash(0);
            }
        }
        // Long enough for a leader to notice that a member has gone without a word.
        browser.run_for(secs(50));
        for (page, request) in asked {
            let answer = browser.pages[page].published.get(&request);
            assert!(matches!(answer, Some(Ok(_))), "{path:?} {page}: {answer:?}");
        }
        assert_eq!(browser.truth.len(), 40, "{path:?}");
        browser.check_converged();
    }
}

#[test]
fn one_tab_too_many_waits_and_the_others_go_on() {
    let mut browser = Browser::new(11, Path::Lock);
    browser.configure = |config| config.members_max = 2;
    for _ in 0..3 {
        let page = browser.open();
        browser.subscribe(page, "job:1", Flow::IMMEDIATE);
        browser.run_for(ms(300));
    }
    publish_all(&mut browser, 0..3);
    browser.run_for(ms(100));
    assert_eq!(numbers(&browser.records[1]), [0, 1, 2]);
    assert!(browser.records[2].values().is_empty());
    browser.close(1);
    browser.run_for(secs(40));
    assert_eq!(numbers(&browser.records[2]), [2]);
}

#[test]
fn each_tab_is_present_by_itself_and_all_see_who_is_there_through_any_leader() {
    for path in Path::ALL {
        let mut browser = tabs(path, 3);
        let pages = indices(&browser);
        let room = topic("job:1");
        let user = Key::new("ann").unwrap();
        for page in &pages {
            browser.watch(*page, &room);
            browser.track(*page, &room, &user, Json::from(*page as u64));
            browser.run_for(ms(300));
        }
        let metas = |browser: &Browser, page: usize| browser.metas(page, &room, &user);
        for page in &pages {
            assert_eq!(metas(&browser, *page), 3, "{path:?}");
        }
        browser.close(pages[0]);
        browser.run_for(secs(3));
        for page in &pages[1..] {
            assert_eq!(metas(&browser, *page), 2, "{path:?}");
        }
    }
}

#[test]
fn a_tab_that_opens_need_not_wait_as_long_as_the_others() {
    for path in Path::ALL {
        for seed in 0..8 {
            let mut browser = tabs_of(Browser::new(seed, path), 2);
            browser.set_network(false);
            browser.run_for(secs(90));
            browser.set_network(true);
            let page = browser.open();
            browser.subscribe(page, "job:1", Flow::IMMEDIATE);
            let took = browser.run_until(|browser| {
                let mut tabs = browser.pages.iter().filter(|page| page.is_open_tab());
                tabs.all(|page| {
                    let last = page.states.last();
                    last.is_some_and(|(_, state)| *state == ConnectionState::Connected)
                })
            });
            assert!(took < secs(3), "{path:?} {seed}: {took:?}");
        }
    }
}
