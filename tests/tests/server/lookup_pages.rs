//! Looking up what a pattern selects, page by page.

use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::uplink::{Lookup, Page, UplinkCall};
use tidegate_tests::json::{Json, report};
use tidegate_tests::{pattern, topic};

use crate::lookups::{Asked, one, tops};

#[test]
fn what_a_pattern_selects_is_found_page_by_page() {
    let mut asked = Asked::linked(|_| {});
    let mut server: ServerHub<Json> = ServerHub::new(ServerConfig::new(1));
    for name in ["job:1", "job:10", "job:2", "job:2:log", "job:3", "jobs:1"] {
        asked.publish(name, 1);
        let request = PublishRequest::new(topic(name), report(1));
        server.handle_publish(asked.now, request).unwrap();
    }
    let page = |after: Option<&str>, count_max, bytes_max| Page {
        pattern: pattern("job:*"),
        after: after.map(topic),
        count_max,
        bytes_max,
    };
    for (page, due) in [
        (page(None, 2, 1000), vec!["job:1", "job:10"]),
        (page(Some("job:10"), 2, 1000), vec!["job:2", "job:3"]),
        (page(Some("job:2"), 2, 1000), vec!["job:3"]),
        (page(Some("job:3"), 2, 1000), vec![]),
        (page(Some("job:11"), 2, 1000), vec!["job:2", "job:3"]),
        (page(Some("a"), 3, 0), vec!["job:1", "job:10"]),
        (page(None, 1, 0), vec!["job:1"]),
    ] {
        asked.look_up(1, Lookup::Page(page.clone()));
        assert_eq!(asked.lookups(), [UplinkCall::ListPage(page.clone())]);
        asked.answer_all();
        let due: Vec<(String, u64)> = due.into_iter().flat_map(|name| one(name, 1)).collect();
        assert_eq!(asked.told(), [(1, Ok(due.clone()))], "{page:?}");
        let found = server.handle_lookup(asked.now, 1, Lookup::Page(page.clone()));
        let found = found.expect("at once");
        assert_eq!(tops(&found), due, "{page:?}");
        assert_eq!(
            page.is_full_with(&found),
            due.len() >= 2 || page.count_max == 1
        );
    }
    // Two pages of one pattern are two questions.
    asked.look_up(1, Lookup::Page(page(None, 2, 1000)));
    asked.look_up(2, Lookup::Page(page(None, 1, 1000)));
    assert_eq!(asked.lookups().len(), 2);
}
