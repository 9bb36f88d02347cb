//! How the tabs of a browser find who leads, and what becomes of those who don't; each rule in a small scene.

use core::time::Duration;

use tidegate_core::client::ConnectionState;
use tidegate_core::flow::Flow;
use tidegate_core::tabs::Role;
use tidegate_tests::tab_model::scene::{indices, leader, next_leader, numbers, publish_all, tabs};
use tidegate_tests::tab_model::{Life, Path};
use tidegate_tests::{ms, secs};

#[test]
fn a_leader_that_closes_is_followed_at_once_and_nothing_is_missed() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 10);
        for round in 0..8 {
            publish_all(&mut browser, round * 30..round * 30 + 15);
            let old = leader(&browser);
            browser.close(old);
            publish_all(&mut browser, round * 30 + 15..round * 30 + 30);
            browser.run_for(ms(700));
            assert_ne!(leader(&browser), old);
        }
        for record in browser.records.iter().filter(|record| !record.is_gone) {
            assert_eq!(numbers(record), Vec::from_iter(0..240), "{path:?}");
            assert_eq!(record.losses(), 0);
        }
        browser.check_converged();
    }
}

#[test]
fn a_leader_that_crashes_is_followed_when_the_browser_frees_its_lock() {
    let mut browser = tabs(Path::Lock, 5);
    let old = leader(&browser);
    publish_all(&mut browser, 0..5);
    browser.crash(old);
    let taken = next_leader(&mut browser, old);
    assert!(taken < ms(200), "{taken:?}");
    publish_all(&mut browser, 5..10);
    browser.run_for(secs(1));
    browser.check_converged();
}

#[test]
fn a_frozen_leader_lets_go_first_and_comes_back_as_a_follower() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 4);
        let old = leader(&browser);
        browser.freeze(old);
        let taken = next_leader(&mut browser, old);
        assert!(taken < ms(600), "{path:?}: {taken:?}");
        publish_all(&mut browser, 0..10);
        browser.wake(old);
        publish_all(&mut browser, 10..20);
        browser.run_for(secs(1));
        assert_eq!(browser.pages[old].machine.tabs().role(), Role::Follower);
        for record in &browser.records {
            assert_eq!(numbers(record), Vec::from_iter(0..20), "{path:?}");
        }
        browser.check_converged();
    }
}

#[test]
fn a_leader_that_freezes_without_a_word_is_noticed_by_silence_and_fenced_off() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 4);
        let old = leader(&browser);
        let term = browser.pages[old].machine.tabs().term();
        browser.freeze_at_once(old);
        publish_all(&mut browser, 0..10);
        let taken = next_leader(&mut browser, old);
        // The lease and the time to answer, and what it takes to connect.
        assert!(taken < secs(8), "{path:?}: {taken:?}");
        publish_all(&mut browser, 10..20);
        browser.run_for(secs(1));
        assert_eq!(browser.server.connections() - 1, 1, "the old leader heard");
        browser.wake(old);
        browser.run_for(secs(2));
        let tabs = browser.pages[old].machine.tabs();
        assert_eq!(tabs.role(), Role::Follower);
        assert!(tabs.term() > term);
        for record in &browser.records {
            assert_eq!(numbers(record), Vec::from_iter(0..20), "{path:?}");
        }
        browser.check_converged();
    }
}

#[test]
fn a_leader_that_is_alive_keeps_its_place_however_late_its_timers_are() {
    for path in Path::ALL {
        let mut browser = tabs(path, 4);
        let leaders = browser.leaders();
        for page in indices(&browser) {
            browser.show(page, false, secs(60));
        }
        browser.run_for(secs(600));
        assert_eq!(browser.leaders(), leaders, "{path:?}");
        for page in browser.pages.iter().filter(|page| page.is_open_tab()) {
            let states = page.states.iter().map(|(_, state)| state);
            let lost = states.filter(|state| **state == ConnectionState::Disconnected);
            assert_eq!(lost.count(), 0, "{path:?}");
        }
        publish_all(&mut browser, 0..3);
        browser.run_for(ms(100));
        for record in &browser.records {
            assert_eq!(numbers(record), [0, 1, 2]);
        }
    }
}

#[test]
fn a_hidden_leader_hands_over_to_a_visible_tab_but_not_at_once() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 3);
        let old = leader(&browser);
        browser.show(2, false, secs(1));
        browser.show(old, false, secs(1));
        browser.run_for(secs(4));
        assert_eq!(leader(&browser), old, "its user may come back");
        browser.run_for(secs(4));
        assert_eq!(leader(&browser), 1, "the visible one");
        publish_all(&mut browser, 0..10);
        browser.run_for(secs(1));
        browser.check_converged();
    }
}

#[test]
fn a_leader_stays_where_all_are_hidden_until_one_is_shown() {
    let mut browser = tabs(Path::Lock, 3);
    let old = leader(&browser);
    for page in 0..3 {
        browser.show(page, false, secs(1));
    }
    browser.run_for(secs(120));
    assert_eq!(leader(&browser), old);
    browser.show(2, true, Duration::ZERO);
    browser.run_for(secs(3));
    assert_eq!(leader(&browser), 2);
}

#[test]
fn a_sleeping_follower_does_not_stand_in_the_queue() {
    let mut browser = tabs(Path::Lock, 3);
    // Both check that nothing is held or waited for while asleep.
    browser.freeze(1);
    browser.cache(2);
    let fourth = browser.open();
    browser.run_for(ms(100));
    browser.close(0);
    browser.run_for(ms(200));
    assert_eq!(leader(&browser), fourth);
}

#[test]
fn a_follower_that_froze_without_a_word_and_is_granted_the_lock_stalls_nobody_for_long() {
    let mut browser = tabs(Path::Lock, 4);
    browser.freeze_at_once(1);
    browser.close(0);
    let taken = next_leader(&mut browser, 1);
    assert!(taken < secs(4), "{taken:?}");
    browser.wake(1);
    browser.run_for(secs(5));
    publish_all(&mut browser, 0..5);
    browser.run_for(secs(1));
    browser.check_converged();
}

#[test]
fn the_last_tab_alone_takes_over_from_a_sleeping_leader() {
    let mut browser = tabs(Path::Lock, 2);
    browser.freeze_at_once(0);
    let taken = next_leader(&mut browser, 0);
    assert!(taken < secs(8), "{taken:?}");
    browser.run_for(ms(100));
    assert_eq!(leader(&browser), 1);
}

#[test]
fn a_worker_that_dies_in_silence_is_replaced_by_one_of_the_next_generation() {
    let mut browser = tabs(Path::Worker, 5);
    let old = leader(&browser);
    browser.end_worker(old);
    publish_all(&mut browser, 0..5);
    let taken = next_leader(&mut browser, old);
    assert!(taken < secs(8), "{taken:?}");
    publish_all(&mut browser, 5..10);
    browser.run_for(secs(1));
    for page in browser.pages.iter().filter(|page| page.is_open_tab()) {
        assert_eq!(page.attached, Some(1), "everybody has moved");
    }
    for record in &browser.records {
        assert_eq!(numbers(record), Vec::from_iter(0..10));
    }
    let late = browser.open();
    browser.run_for(ms(100));
    assert_eq!(browser.pages[late].attached, Some(1));
    browser.check_converged();
    browser.check_leaves_nothing();
}

#[test]
fn a_cached_page_resumes_when_its_user_comes_back() {
    for path in Path::ALL {
        let mut browser = tabs(path, 3);
        let page = indices(&browser)[1];
        browser.cache(page);
        publish_all(&mut browser, 0..20);
        browser.run_for(secs(120));
        assert_eq!(browser.pages[page].life, Life::Cached);
        browser.wake(page);
        browser.run_for(secs(2));
        assert_eq!(numbers(&browser.records[1]), Vec::from_iter(0..20));
        browser.check_converged();
    }
}

#[test]
fn a_tab_whose_user_wants_no_connection_leaves_it_to_the_others() {
    for path in Path::ALL {
        let mut browser = tabs(path, 3);
        browser.disconnect(0);
        browser.records[0].is_gone = true;
        browser.run_for(secs(2));
        assert!(!browser.leaders().contains(&0));
        publish_all(&mut browser, 0..5);
        browser.run_for(secs(1));
        for record in &browser.records[1..] {
            assert_eq!(numbers(record), [0, 1, 2, 3, 4], "{path:?}");
        }
        browser.connect(0);
        browser.subscribe(0, "job:1", Flow::IMMEDIATE);
        browser.run_for(secs(2));
        assert_eq!(numbers(&browser.records[3]), [4]);
        browser.check_converged();
    }
}
