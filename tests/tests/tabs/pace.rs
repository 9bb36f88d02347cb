//! A pace goes from a tab to the leader and from there to the server, and changes with the tabs that come and go.

use std::num::NonZeroU32;

use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::protocol::PublishRequest;
use tidegate_tests::json::Json;
use tidegate_tests::record::Seen;
use tidegate_tests::tab_model::scene::{numbers, publish};
use tidegate_tests::tab_model::{Browser, Path};
use tidegate_tests::{ms, secs, topic};

/// The ways in which the pages of a browser have one connection: a worker's, and a leading tab's.
const WAYS: [Path; 2] = [Path::Worker, Path::Lock];

const TOPICS: u64 = 200;
const PER_SECOND: u64 = 50;

/// What came from the server over any socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Received {
    frames: u64,
    publications: u64,
    bytes: u64,
}

/// What has come since the log had so many bytes.
fn received(browser: &Browser, since: usize) -> Received {
    let mut received = Received::default();
    for line in browser.log[since..].lines() {
        let mut parts = line.splitn(2, " over ");
        let frame = parts.nth(1).and_then(|over| over.split_once(" < "));
        if let Some((_, frame)) = frame {
            received.frames += 1;
            received.publications += frame.matches("\"offset\":").count() as u64;
            received.bytes += frame.len() as u64;
        }
    }
    received
}

fn name(number: u64) -> String {
    format!("job:{number}")
}

/// All topics move for some seconds, and what is under way arrives. Returns what came from the server meanwhile.
fn move_all(browser: &mut Browser, seconds: u64) -> Received {
    let since = browser.log.len();
    for step in 0..PER_SECOND * seconds {
        for number in 0..TOPICS {
            let data = serde_json::json!({ "progress": step, "message": "resizing photographs" });
            let request = PublishRequest::new(topic(&name(number)), Json(data));
            browser.publish(request).expect("the topic is open");
        }
        browser.run_for(ms(1_000 / PER_SECOND));
    }
    browser.run_for(ms(1_500));
    received(browser, since)
}

#[test]
fn a_dashboard_in_a_tab_receives_what_it_shows_and_another_tab_everything_while_it_is_there() {
    for way in WAYS {
        let mut browser = Browser::new(3, way);
        let dashboard = browser.open();
        let shown: Vec<usize> = (0..TOPICS)
            .map(|number| browser.subscribe(dashboard, &name(number), Flow::throttle(secs(1))))
            .collect();
        browser.run_for(secs(1));
        // At 0, 1 and 2 s.
        let paced = move_all(&mut browser, 2);
        assert_eq!(paced.publications, TOPICS * 3, "{way:?}");

        let other = browser.open();
        let all: Vec<usize> = (0..TOPICS)
            .map(|number| browser.subscribe(other, &name(number), Flow::IMMEDIATE))
            .collect();
        browser.run_for(secs(1));
        let everything = move_all(&mut browser, 1);
        assert_eq!(everything.publications, TOPICS * PER_SECOND, "{way:?}");
        for record in &all {
            let seen = browser.records[*record].values().len() as u64;
            assert_eq!(seen, 1 + PER_SECOND, "{way:?}: the latest, and all since");
        }
        let per_publication = everything.bytes / everything.publications;

        browser.close(other);
        browser.run_for(secs(1));
        let again = move_all(&mut browser, 2);
        assert!(
            again.publications == TOPICS * 3,
            "{way:?}: {again:?} once the other tab has gone"
        );
        let published = TOPICS * PER_SECOND * 2;
        println!("{way:?}: {paced:?} of {published} publications, {everything:?}, {again:?}");
        assert!(
            paced.bytes * 33 <= published * per_publication,
            "{way:?}: {paced:?} of {published} publications of {per_publication} bytes"
        );
        for record in shown {
            browser.records[record].check_pace();
        }
        browser.check_converged();
    }
}

#[test]
fn what_tabs_collect_comes_in_batches_from_the_server_and_nothing_is_missing() {
    let collect = |every| {
        let max = NonZeroU32::new(500).expect("a batch holds at least one");
        Flow::throttle(ms(every)).with_conflate(Conflate::Collect { max })
    };
    for way in WAYS {
        let mut browser = Browser::new(5, way);
        let pages = [browser.open(), browser.open()];
        let records = [
            browser.subscribe(pages[0], "job:1", collect(200)),
            browser.subscribe(pages[1], "job:1", collect(500)),
        ];
        browser.run_for(secs(1));
        let since = browser.log.len();
        for number in 0..400 {
            publish(&mut browser, number);
            browser.run_for(ms(5));
        }
        browser.run_for(secs(2));
        let received = received(&browser, since);
        assert!(
            received.frames <= 22,
            "{way:?}: {received:?} in two seconds"
        );
        for record in records {
            let record = &browser.records[record];
            assert_eq!(numbers(record), Vec::from_iter(0..400), "{way:?}");
            let is_batch = |(_, seen): &(_, Seen)| matches!(seen, Seen::Batch(_));
            assert!(record.seen.iter().all(is_batch), "{way:?}");
        }
    }
}

/// A counter goes up by one for a second, and what is under way arrives. Returns what came from the server meanwhile.
fn count(browser: &mut Browser) -> Received {
    let since = browser.log.len();
    for _ in 0..PER_SECOND {
        let data = serde_json::json!({ "done": 1 });
        let request = PublishRequest::new(topic("job:1"), Json(data));
        browser.publish(request).expect("the topic is open");
        browser.run_for(ms(1_000 / PER_SECOND));
    }
    browser.run_for(ms(1_500));
    received(browser, since)
}

fn total(browser: &Browser, record: usize) -> u64 {
    let values = browser.records[record].values();
    values
        .iter()
        .filter_map(|value| value["done"].as_u64())
        .sum()
}

#[test]
fn a_counter_that_tabs_add_up_comes_at_its_pace_and_one_by_one_only_while_they_differ() {
    let sums = |every| Flow::throttle(secs(every)).with_conflate(Conflate::Sum);
    for way in WAYS {
        let mut browser = Browser::new(7, way);
        let pages = [browser.open(), browser.open()];
        let mut records = [(0, 1), (1, 3)]
            .map(|(page, every)| browser.subscribe(pages[page], "job:1", sums(every)));
        browser.run_for(secs(2));
        let alone = count(&mut browser);
        // At 0 and 1 s.
        assert_eq!(alone.publications, 2, "{way:?}: {alone:?}");

        // For a newcomer, everything that the others have is sent once more, and then sums again.
        let page = browser.open();
        let joined = browser.subscribe(page, "job:1", sums(1));
        browser.run_for(secs(2));
        let together = count(&mut browser);
        assert_eq!(together.publications, 2, "{way:?}: {together:?}");

        // One who leads goes, and all that are left are where it was.
        let leader = browser.leaders()[0];
        let is_page = browser.pages[leader].is_open_tab();
        if is_page {
            browser.crash(leader);
            browser.run_for(secs(60));
            records.swap(0, 1);
        }
        let after = count(&mut browser);
        assert_eq!(
            after.publications, 2,
            "{way:?}: {after:?} by another leader"
        );

        // One wants every publication while it is there.
        let every = browser.subscribe(page, "job:1", Flow::IMMEDIATE);
        browser.run_for(secs(2));
        let all = count(&mut browser);
        assert_eq!(all.publications, PER_SECOND, "{way:?}: {all:?}");
        browser.unsubscribe(every);
        browser.run_for(secs(2));
        let again = count(&mut browser);
        assert_eq!(again.publications, 2, "{way:?}: {again:?} once it has gone");
        assert!(
            again.bytes * 15 <= all.bytes,
            "{way:?}: {again:?} of {all:?}"
        );
        println!("{way:?}: {again:?} added up, {all:?} one by one");

        browser.run_for(secs(5));
        assert_eq!(total(&browser, records[0]), 5 * PER_SECOND, "{way:?}");
        assert_eq!(total(&browser, joined), 1 + 4 * PER_SECOND, "{way:?}");
        browser.check_converged();
    }
}

#[test]
fn patches_that_tabs_merge_at_one_pace_come_at_that_pace_and_one_by_one_at_two() {
    let merges = |every| Flow::throttle(secs(every)).with_conflate(Conflate::Merge);
    for way in WAYS {
        let mut browser = Browser::new(9, way);
        let pages = [browser.open(), browser.open()];
        let records = pages.map(|page| browser.subscribe(page, "job:1", merges(1)));
        browser.run_for(secs(2));
        let same = count(&mut browser);
        assert_eq!(same.publications, 2, "{way:?}: {same:?}");
        browser.set_flow(records[1], merges(2));
        browser.run_for(secs(2));
        let differ = count(&mut browser);
        assert_eq!(differ.publications, PER_SECOND, "{way:?}: {differ:?}");
        browser.run_for(secs(5));
        browser.check_converged();
    }
}
