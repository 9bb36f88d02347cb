//! Texts as topics and patterns, and a router that holds some of them.

use tidegate_core::router::Router;
use tidegate_core::topic::{Pattern, Topic};

use crate::Source;

const TEXTS_MAX: usize = 12;

/// Everything that is accepted as a topic or pattern prints as the text that it was parsed from; and patterns, the
/// router and a naive matcher of segments agree on what matches.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (mut topics, mut patterns) = (Vec::new(), Vec::new());
    let mut router = Router::new(1);
    for index in 0..TEXTS_MAX {
        let text = any_text(&mut source);
        if let Ok(topic) = Topic::new(&text) {
            assert_eq!(topic.as_str(), text);
            assert!(
                Pattern::new(&text).is_ok(),
                "a topic is a pattern: {text:?}"
            );
            topics.push(topic);
        }
        if let Ok(pattern) = Pattern::new(&text) {
            assert_eq!(pattern.as_str(), text);
            router.subscribe(&pattern, index);
            patterns.push((index, pattern));
        }
    }
    for topic in &topics {
        let mut routed: Vec<usize> = Vec::new();
        let exact = router.find_exact(topic);
        routed.extend(
            exact
                .into_iter()
                .flat_map(|route| router.subscribers(route).copied()),
        );
        router.for_each_wildcard(topic, |route| {
            routed.extend(router.subscribers(route).copied())
        });
        routed.sort_unstable();
        let matching = patterns.iter().filter(|(_, pattern)| {
            assert_eq!(pattern.matches(topic), naive(pattern, topic));
            pattern.matches(topic)
        });
        let matching: Vec<usize> = matching.map(|(index, _)| *index).collect();
        assert_eq!(routed, matching, "{topic}");
    }
}

fn naive(pattern: &Pattern, topic: &Topic) -> bool {
    let topic: Vec<&str> = topic.as_str().split(':').collect();
    let pattern: Vec<&str> = pattern.as_str().split(':').collect();
    let (fixed, is_open) = match pattern.split_last() {
        Some((&"**", fixed)) => (fixed, true),
        _ => (pattern.as_slice(), false),
    };
    let has_length = if is_open {
        topic.len() > fixed.len()
    } else {
        topic.len() == fixed.len()
    };
    let mut pairs = fixed.iter().zip(&topic);
    has_length && pairs.all(|(wanted, segment)| *wanted == "*" || wanted == segment)
}

/// Usually segments that other texts have, too.
fn any_text(source: &mut Source<'_>) -> String {
    if source.below(8) == 0 {
        return source.text();
    }
    let segments = (0..=source.below(4)).map(|_| match source.below(7) {
        0 => "*",
        1 => "**",
        2 => "",
        3 | 4 => "job",
        5 => "4 2",
        _ => "42",
    });
    segments.collect::<Vec<_>>().join(":")
}
