//! Tabs of a device that are left: what they have processed until then is acknowledged before they can't.

use std::sync::Arc;

use tidegate_core::flow::Flow;
use tidegate_tests::tab_model::scene::{numbers, publish_all};
use tidegate_tests::tab_model::{Browser, Path};
use tidegate_tests::{ms, secs};

const TO: &str = "job:1";

/// Leaves a page in some way.
type Leave = fn(&mut Browser, usize);

/// Opens a tab of the device. Returns its record.
fn open(browser: &mut Browser) -> usize {
    let page = browser.open();
    let record = browser.subscribe_durable(page, TO, Flow::IMMEDIATE, "phone");
    browser.run_for(secs(2));
    record
}

fn check(path: Path, way: &str, leave: Leave, has_others: bool) {
    let mut browser = Browser::new(17, path);
    if has_others {
        let other = browser.open();
        browser.subscribe(other, "job:2", Flow::IMMEDIATE);
        browser.run_for(secs(1));
    }
    let tab = open(&mut browser);
    publish_all(&mut browser, 1..6);
    browser.run_for(ms(100));
    let came = browser.records[tab].publications();
    let came: Vec<_> = came.map(|(_, one)| Arc::clone(one)).collect();
    assert_eq!(came.len(), 5, "{path:?}, {way}");
    for publication in &came {
        browser.deal_with(tab, publication);
    }
    let page = browser.records[tab].peer;
    leave(&mut browser, page);
    browser.run_for(secs(30));
    let heir = open(&mut browser);
    browser.run_for(secs(30));
    assert_eq!(
        numbers(&browser.records[heir]),
        Vec::<u64>::new(),
        "{path:?}, {way}, beside others: {has_others}"
    );
}

#[test]
fn what_a_tab_has_processed_before_it_is_left_comes_back_to_none() {
    let ways: [(&str, Leave); 3] = [
        ("closed", Browser::close),
        ("frozen", Browser::freeze),
        ("cached", Browser::cache),
    ];
    for path in Path::ALL {
        for (way, leave) in ways {
            check(path, way, leave, true);
            // The worker of a browser's last page ends with it, perhaps before it hears of anything.
            if path != Path::Worker || way != "closed" {
                check(path, way, leave, false);
            }
        }
    }
}
