//! Tabs that share a connection whose tokens expire: which of them is asked for the next one, without anyone noticing.

use tidegate_core::client::{ConnectionState, TokenSource};
use tidegate_tests::tab_model::scene::{indices, leader, numbers, publish, tabs_of};
use tidegate_tests::tab_model::{Browser, Gives, Path};
use tidegate_tests::{ms, secs};

/// Tabs whose tokens last that many seconds.
fn tabs(path: Path, count: usize, seconds: u64) -> Browser {
    let mut browser = Browser::new(11, path);
    browser.configure = |config| config.client.token = TokenSource::Asked;
    browser.token_life = Some(secs(seconds));
    tabs_of(browser, count)
}

fn publish_slowly(browser: &mut Browser, count: u64) {
    for number in 0..count {
        publish(browser, number);
        browser.run_for(secs(1));
    }
}

#[test]
fn tokens_are_renewed_for_all_tabs_and_nobody_notices() {
    for path in Path::ALL {
        let mut browser = tabs(path, 4, 60);
        let connected = browser.pages.iter().map(|page| page.states.len());
        let before: Vec<usize> = connected.collect();
        let asked = browser.asked.len();
        publish_slowly(&mut browser, 600);
        let renewals = browser.asked.len() - asked;
        assert!((18..=26).contains(&renewals), "{path:?}: {renewals}");
        assert_eq!(browser.server.connections() - 1, 1, "{path:?}");
        for (page, before) in browser.pages.iter().zip(before) {
            assert_eq!(page.states.len(), before, "{path:?}: {:?}", page.states);
        }
        for record in &browser.records {
            assert_eq!(numbers(record), Vec::from_iter(0..600), "{path:?}");
            assert_eq!(record.losses(), 0);
        }
        browser.check_converged();
    }
}

#[test]
fn a_worker_asks_a_visible_tab() {
    let mut browser = tabs(Path::Worker, 4, 60);
    let tabs = indices(&browser);
    for page in tabs.iter().filter(|page| **page != tabs[2]) {
        browser.show(*page, false, secs(1));
    }
    browser.asked.clear();
    browser.run_for(secs(120));
    assert!(browser.asked.len() > 2);
    for (_, page) in &browser.asked {
        assert_eq!(*page, tabs[2]);
    }
}

#[test]
fn a_tab_that_cannot_answer_is_passed_over() {
    for path in Path::ALL {
        for gives in [Gives::Nothing, Gives::NoAnswer] {
            let mut browser = tabs(path, 3, 120);
            let tabs = indices(&browser);
            for page in &tabs[..2] {
                browser.pages[*page].gives = gives;
            }
            publish_slowly(&mut browser, 300);
            let states = |state: &ConnectionState| {
                let told = browser.pages.iter().flat_map(|page| &page.states);
                told.filter(|(_, told)| told == state).count()
            };
            assert_eq!(
                states(&ConnectionState::Disconnected),
                0,
                "{path:?} {gives:?}"
            );
            for record in &browser.records {
                assert_eq!(
                    numbers(record),
                    Vec::from_iter(0..300),
                    "{path:?} {gives:?}"
                );
            }
        }
    }
}

#[test]
fn where_no_tab_can_answer_the_connection_ends_with_its_token_and_comes_back_with_the_next() {
    for path in Path::ALL {
        let mut browser = tabs(path, 2, 60);
        for page in indices(&browser) {
            browser.pages[page].gives = Gives::Nothing;
        }
        browser.run_for(secs(120));
        assert_eq!(browser.server.connections() - 1, 0, "{path:?}");
        publish(&mut browser, 1);
        for page in indices(&browser) {
            browser.pages[page].gives = Gives::Tokens;
        }
        browser.run_for(secs(40));
        for record in &browser.records {
            assert_eq!(numbers(record), [1], "{path:?}");
        }
        browser.check_converged();
    }
}

#[test]
fn a_new_leader_comes_by_a_token_of_its_own() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 4, 60);
        for round in 0..3 {
            publish(&mut browser, round);
            let old = leader(&browser);
            browser.close(old);
            browser.run_for(secs(30));
            let new = leader(&browser);
            assert_ne!(new, old);
            assert!(browser.asked.iter().any(|(_, page)| *page == new));
        }
        browser.run_for(ms(500));
        for record in browser.records.iter().filter(|record| !record.is_gone) {
            assert_eq!(numbers(record), [0, 1, 2], "{path:?}");
        }
    }
}
