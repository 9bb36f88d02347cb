//! Listing the latest publication of every topic that a pattern matches.

use tidegate::Json;
use tidegate_core::history::Excerpt;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::uplink::Page;

use super::{Peer, Place, request};
use tidegate_tests::{pattern, topic};

/// Topics with characters that are special in SQL, globs, hash tags and shells, and patterns made of them.
pub(super) const SPECIAL: [&str; 12] = [
    "job:a_c",
    "job:abc",
    "job:a%c",
    "job:a?c",
    "job:a[b]c",
    "job:a\\c",
    "job:a'c",
    "job:a\"c",
    "job:{a}c",
    "job:a$1",
    "job:a;c",
    "job:A_C",
];

fn names(excerpts: &[Excerpt<Json>]) -> Vec<&str> {
    excerpts
        .iter()
        .map(|excerpt| excerpt.topic.as_str())
        .collect()
}

/// One segment, several segments, or the topic itself; and nothing else.
pub async fn a_pattern_lists_what_it_matches<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let topics = [
        "job",
        "job:1",
        "job:1:log",
        "job:2",
        "job:2:log",
        "jobs:1",
        "task:1",
        "task:1:log:old",
    ];
    for topic in topics {
        here.publish(topic, "1").await;
    }
    here.end("job:2", EndReason::Complete).await;
    for text in [
        "**",
        "*",
        "job:*",
        "job:**",
        "job:*:log",
        "*:1",
        "*:1:**",
        "job:1",
        "task:**",
        "none:**",
        "none",
    ] {
        let expected: Vec<&str> = topics
            .into_iter()
            .filter(|name| pattern(text).matches(&topic(name)))
            .collect();
        assert_eq!(names(&there.list(text).await), expected, "{text}");
    }
}

/// With its position, the same as when it is read alone.
pub async fn each_is_listed_with_its_latest_alone<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    for number in 1..5 {
        here.publish_numbers(&format!("job:{number}"), number).await;
    }
    let listed = there.list("job:*").await;
    assert_eq!(listed.len(), 4);
    for (excerpt, number) in listed.iter().zip(1..) {
        assert_eq!(excerpt.position.offset, number);
        assert_eq!(excerpt.publications.len(), 1);
        assert_eq!(*excerpt, there.read(excerpt.topic.as_str(), None).await);
    }
}

/// A topic is neither a glob nor a SQL pattern nor a hash tag.
pub async fn characters_that_are_special_elsewhere_are_plain<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    for name in SPECIAL {
        here.publish(name, "1").await;
        here.publish(&format!("{name}:log"), "1").await;
    }
    for name in SPECIAL {
        assert_eq!(names(&here.list(name).await), [name]);
        let below = format!("{name}:*");
        assert_eq!(names(&here.list(&below).await), [format!("{name}:log")]);
        assert_eq!(here.offsets(name, None).await, [1], "{name}");
    }
    assert_eq!(here.list("job:*").await.len(), SPECIAL.len());
}

/// A page holds the first topics after one, in their order, as many as it may hold, and says by that whether there are more.
pub async fn a_listing_is_read_page_by_page<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    for number in 0..150 {
        here.publish_numbers(&format!("job:{number}"), 1 + number % 3)
            .await;
    }
    let large = format!("\"{}\"", "x".repeat(20_000));
    for name in [
        "job",
        "job:7:log",
        "jobs:1",
        "a:large",
        "a:b",
        "b:large",
        "job:A",
        "z:1",
    ] {
        here.publish(name, if name.ends_with("large") { &large } else { "1" })
            .await;
    }
    for text in [
        "**",
        "*",
        "job:*",
        "job:**",
        "*:*",
        "job:*:log",
        "job:7",
        "none:*",
        "none",
    ] {
        let all = there.list(text).await;
        for (count_max, bytes_max) in [
            (1, 0),
            (2, 1_000_000),
            (70, 10_000),
            (150, 1_000_000),
            (1000, 1_000_000),
        ] {
            let mut page = Page {
                pattern: pattern(text),
                after: None,
                count_max,
                bytes_max,
            };
            let mut found = Vec::new();
            loop {
                let listed = there.list_page(&page).await;
                assert_eq!(listed, page.of(all.clone()), "{page:?}");
                found.extend(listed.iter().cloned());
                if !page.is_full_with(&listed) {
                    break;
                }
                page.after = listed.last().map(|last| last.topic.clone());
            }
            assert_eq!(found, all, "{page:?}");
        }
    }
    // Where it begins need be no topic, nor one that the pattern matches.
    for (after, first) in [
        ("job:70:a", "job:71"),
        ("a", "job:0"),
        ("job", "job:0"),
        ("job:", "job:0"),
    ] {
        let page = Page {
            pattern: pattern("job:*"),
            after: tidegate_core::topic::Topic::new(after).ok(),
            count_max: 1,
            bytes_max: 1000,
        };
        assert_eq!(names(&there.list_page(&page).await), [first], "{after}");
    }
    let beyond = Page {
        pattern: pattern("job:*"),
        after: Some(topic("jobs")),
        count_max: 10,
        bytes_max: 1000,
    };
    assert_eq!(there.list_page(&beyond).await, []);
}

/// Listing many topics works like listing few.
pub async fn two_thousand_topics_are_listed<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let batch: Vec<_> = (1_000..3_000)
        .map(|number| request(&format!("job:{number}"), &number.to_string()))
        .collect();
    for part in batch.chunks(500) {
        here.publish_batch(part).await;
    }
    let listed = there.list("job:*").await;
    assert_eq!(listed.len(), batch.len());
    for (excerpt, request) in listed.iter().zip(&batch) {
        assert_eq!(excerpt.topic, request.topic);
        assert_eq!(excerpt.publications[0].payload, request.payload);
    }
}
