//! Topics and patterns against NATS: which are refused, and which match.
//!
//! The vectors are what a real nats-server answered to a subscription and a publication each, written in this
//! project's syntax (`:` for `.`, `**` for `>`).

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use serde::Deserialize;
use tidegate_core::topic::{Pattern, Topic, TopicErrorKind};

const VECTORS: &[u8] = include_bytes!("../vectors/topic-nats-colon.jsonl.gz");

/// How many of the vectors bind.
const BINDING: usize = 1395;

#[derive(Debug, Deserialize)]
struct Vector {
    pattern: String,
    topic: String,
    r#match: Answer,
    invalid: Option<Invalid>,
    tags: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Answer {
    Delivered(bool),
    Refused(Refused),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refused {
    Invalid,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Invalid {
    Pattern,
    Topic,
    Both,
}

fn binding_vectors() -> Vec<Vector> {
    BufReader::new(GzDecoder::new(VECTORS))
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .filter(|vector: &Vector| {
            !has_partial_wildcard(&vector.pattern) && !has_partial_wildcard(&vector.topic)
        })
        .collect()
}

/// NATS takes `a*` as plain text, on both sides. Here it is refused, lest someone expects it to match `ab`.
fn has_partial_wildcard(text: &str) -> bool {
    text.split(':')
        .any(|segment| segment.contains('*') && !["*", "**"].contains(&segment))
}

#[test]
fn every_pair_matches_or_is_refused_as_by_nats() {
    let vectors = binding_vectors();
    assert_eq!(vectors.len(), BINDING, "some vectors were lost");
    for vector in &vectors {
        let pattern = Pattern::new(&vector.pattern);
        let topic = Topic::new(&vector.topic);
        let (answer, invalid) = match (&pattern, &topic) {
            (Ok(pattern), Ok(topic)) => (Answer::Delivered(pattern.matches(topic)), None),
            (Err(_), Ok(_)) => (Answer::Refused(Refused::Invalid), Some(Invalid::Pattern)),
            (Ok(_), Err(_)) => (Answer::Refused(Refused::Invalid), Some(Invalid::Topic)),
            (Err(_), Err(_)) => (Answer::Refused(Refused::Invalid), Some(Invalid::Both)),
        };
        assert_eq!(
            (&answer, &invalid),
            (&vector.r#match, &vector.invalid),
            "{vector:?}"
        );
    }
}

#[test]
fn what_is_refused_is_refused_for_the_reason_of_nats() {
    for vector in binding_vectors() {
        let has = |tag: &str| vector.tags.iter().any(|t| t == tag);
        if let Err(fault) = Pattern::new(&vector.pattern) {
            assert!(
                match fault.kind {
                    TopicErrorKind::Empty | TopicErrorKind::EmptySegment =>
                        has("empty-segment-in-pattern"),
                    TopicErrorKind::ManyNotLast => has("many-not-last"),
                    _ => false,
                },
                "{fault}: {vector:?}"
            );
        }
        if let Err(fault) = Topic::new(&vector.topic) {
            assert!(
                match fault.kind {
                    TopicErrorKind::Empty | TopicErrorKind::EmptySegment =>
                        has("empty-segment-in-topic"),
                    TopicErrorKind::WildcardInTopic => has("wildcard-in-topic"),
                    _ => false,
                },
                "{fault}: {vector:?}"
            );
        }
    }
}
