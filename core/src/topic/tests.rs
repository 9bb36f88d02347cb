use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

fn check_fault(parsed: Result<&str, TopicError>, kind: TopicErrorKind, at: usize) {
    assert_eq!(parsed, Err(TopicError { kind, at }));
}

#[test]
fn faults_of_a_text_are_found_at_their_byte() {
    use TopicErrorKind as Kind;
    let long = "x".repeat(TOPIC_BYTES_MAX + 1);
    for (text, kind, at) in [
        ("", Kind::Empty, 0),
        (long.as_str(), Kind::TooLong { bytes: 256 }, 255),
        (":", Kind::EmptySegment, 0),
        (":a", Kind::EmptySegment, 0),
        ("a:", Kind::EmptySegment, 2),
        ("é::b", Kind::EmptySegment, 3),
        ("a b", Kind::Whitespace(' '), 1),
        ("é:\u{3000}", Kind::Whitespace('\u{3000}'), 3),
        ("ab:c\nd", Kind::ControlCharacter('\n'), 4),
        ("a\u{85}", Kind::ControlCharacter('\u{85}'), 1),
        ("a \0", Kind::Whitespace(' '), 1),
    ] {
        check_fault(
            Topic::new(text).as_ref().map(Topic::as_str).map_err(|e| *e),
            kind,
            at,
        );
        check_fault(
            Pattern::new(text)
                .as_ref()
                .map(Pattern::as_str)
                .map_err(|e| *e),
            kind,
            at,
        );
    }
}

#[test]
fn a_topic_has_no_wildcards() {
    for (text, at) in [
        ("*", 0),
        ("a:*", 2),
        ("a:**", 2),
        ("a:b*", 3),
        ("a*:b c", 1),
        ("a* c", 1),
    ] {
        let fault = Topic::new(text).unwrap_err();
        assert_eq!(fault, TopicErrorKind::WildcardInTopic.at(at), "{text}");
    }
}

#[test]
fn a_wildcard_is_a_whole_segment_and_many_is_the_last() {
    use TopicErrorKind as Kind;
    for (text, kind, at) in [
        ("a*", Kind::PartialWildcard, 1),
        ("a:***", Kind::PartialWildcard, 2),
        ("a:**b:c", Kind::PartialWildcard, 2),
        ("**:a", Kind::ManyNotLast, 0),
        ("a:**:**", Kind::ManyNotLast, 2),
        ("a:**:*:", Kind::ManyNotLast, 2),
        ("a:**::", Kind::EmptySegment, 5),
        ("a b*", Kind::Whitespace(' '), 1),
        ("a* b", Kind::PartialWildcard, 1),
    ] {
        assert_eq!(Pattern::new(text).unwrap_err(), kind.at(at), "{text}");
    }
}

#[test]
fn a_text_of_the_longest_length_is_taken() {
    let text = "é".repeat(127) + "x";
    assert_eq!(text.len(), TOPIC_BYTES_MAX);
    assert_eq!(topic(&text).as_str(), text);
    let deepest = vec!["x"; SEGMENTS_MAX].join(":");
    assert_eq!(deepest.len(), TOPIC_BYTES_MAX);
    assert_eq!(topic(&deepest).segments().count(), SEGMENTS_MAX);
    assert!(pattern("x:**").matches(&topic(&deepest)));
}

#[test]
fn an_error_says_what_where_and_what_to_do() {
    assert_eq!(
        Topic::new("job::42").unwrap_err().to_string(),
        "empty segment at byte 4: remove the ':' or write a segment there"
    );
    assert_eq!(
        Pattern::new("job:4*").unwrap_err().to_string(),
        "partial wildcard at byte 5: let '*' or '**' be a whole segment; a part of a segment can't be matched"
    );
}

#[test]
fn an_exact_pattern_is_its_topic() {
    let exact = pattern("job:42").exact().unwrap();
    assert_eq!(exact, topic("job:42"));
    assert_eq!(Pattern::from(exact), pattern("job:42"));
    for text in ["job:*", "**", "*:42"] {
        assert_eq!(pattern(text).exact(), None, "{text}");
    }
}

#[test]
fn the_literal_prefix_ends_before_the_first_wildcard() {
    for (text, prefix) in [
        ("a:b", "a:b"),
        ("a:*", "a:"),
        ("a:b:**", "a:b:"),
        ("a:*:b:**", "a:"),
        ("*", ""),
        ("**", ""),
    ] {
        assert_eq!(pattern(text).literal_prefix(), prefix, "{text}");
    }
}

#[test]
fn both_are_read_from_and_written_as_json_strings() {
    let read: Topic = serde_json::from_str(r#""job:\u0034\u0032""#).unwrap();
    assert_eq!(read, topic("job:42"));
    assert_eq!(serde_json::to_string(&read).unwrap(), r#""job:42""#);
    let read: Pattern = serde_json::from_str(r#""job:*""#).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), r#""job:*""#);
    let refused = serde_json::from_str::<Topic>(r#""job:*""#)
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with("wildcard in a topic at byte 4"),
        "{refused}"
    );
    assert!(serde_json::from_str::<Pattern>("7").is_err());
}

/// Texts close to the boundary between valid and invalid ones.
fn any_text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ab:* é\n]{0,9}|(ab|b|\\*|\\*\\*|:){0,140}").unwrap()
}

fn any_segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", "ab", "é"][..])
}

fn any_topic() -> impl Strategy<Value = Topic> {
    prop::collection::vec(any_segment(), 1..6).prop_map(|segments| topic(&segments.join(":")))
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof![2 => any_segment(), 1 => Just("*")];
    (
        prop::collection::vec(segment, 0..5),
        any_segment(),
        any::<(bool, bool)>(),
    )
        .prop_map(|(mut segments, last, (many, one))| {
            segments.push(if many {
                "**"
            } else if one {
                "*"
            } else {
                last
            });
            pattern(&segments.join(":"))
        })
}

/// The definition of a match, by recursion over the segments.
fn selects(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        ([wanted, pattern @ ..], [segment, topic @ ..]) => {
            (wanted == segment || *wanted == "*") && selects(pattern, topic)
        }
        _ => false,
    }
}

/// Topics that `pattern` matches, and that no other pattern of the tests matches unless it covers `pattern`. For a
/// wildcard, they have a segment that no pattern contains; for `**`, as few of them as possible, or one more.
fn witnesses(pattern: &Pattern) -> [Topic; 2] {
    ["new", "new:new"].map(|many| {
        let segments: Vec<&str> = pattern
            .segments()
            .map(|segment| match segment {
                Segment::Literal(literal) => literal,
                Segment::One => "new",
                Segment::Many => many,
            })
            .collect();
        topic(&segments.join(":"))
    })
}

/// A topic that both patterns match if there is any: at each place the segment that one of them contains, otherwise one
/// that none does.
fn meeting(one: &Pattern, other: &Pattern) -> Topic {
    let segments = |pattern: &Pattern| -> Vec<String> {
        let named = pattern.segments().map(|segment| match segment {
            Segment::Literal(literal) => literal.into(),
            Segment::One | Segment::Many => String::new(),
        });
        named.collect()
    };
    let (one, other) = (segments(one), segments(other));
    let at = |place: usize| {
        let mut named = [&one, &other].into_iter().filter_map(|own| own.get(place));
        named
            .find(|segment| !segment.is_empty())
            .map_or("new", |segment| segment)
    };
    let met: Vec<&str> = (0..one.len().max(other.len())).map(at).collect();
    topic(&met.join(":"))
}

proptest! {
    #[test]
    fn what_is_taken_obeys_the_syntax_and_keeps_its_text(text in any_text()) {
        let plain = (1..=TOPIC_BYTES_MAX).contains(&text.len())
            && text.split(':').all(|segment| !segment.is_empty())
            && !text.contains([' ', '\n']);
        let segments: Vec<&str> = text.split(':').collect();
        let (last, others) = segments.split_last().unwrap();
        let wild = |segment: &&str| !segment.contains('*') || *segment == "*";
        let patterned = others.iter().all(wild) && (wild(last) || *last == "**");

        prop_assert_eq!(Topic::new(&text).is_ok(), plain && !text.contains('*'));
        prop_assert_eq!(Pattern::new(&text).is_ok(), plain && patterned);
        match Pattern::new(&text) {
            Ok(pattern) => prop_assert_eq!(pattern.to_string(), text),
            Err(fault) => prop_assert!(text.is_char_boundary(fault.at) || fault.at == TOPIC_BYTES_MAX),
        }
    }

    #[test]
    fn a_pattern_matches_by_the_definition(pattern in any_pattern(), topic in any_topic()) {
        let wanted: Vec<&str> = pattern.as_str().split(':').collect();
        let segments: Vec<&str> = topic.segments().collect();
        let matched = pattern.matches(&topic);
        prop_assert_eq!(matched, selects(&wanted, &segments));
        prop_assert!(!matched || topic.as_str().starts_with(pattern.literal_prefix()));
    }

    #[test]
    fn a_pattern_covers_what_it_matches_all_topics_of(
        wide in any_pattern(),
        narrow in any_pattern(),
        topics in prop::collection::vec(any_topic(), 8),
    ) {
        let covers = wide.covers(&narrow);
        prop_assert_eq!(covers, witnesses(&narrow).iter().all(|topic| wide.matches(topic)));
        for topic in topics.iter().filter(|topic| covers && narrow.matches(topic)) {
            prop_assert!(wide.matches(topic));
        }
        prop_assert!(narrow.covers(&narrow));
    }

    #[test]
    fn patterns_overlap_where_a_topic_is_selected_by_both(one in any_pattern(), other in any_pattern()) {
        let meeting = meeting(&one, &other);
        let overlaps = one.matches(&meeting) && other.matches(&meeting);
        prop_assert_eq!(one.overlaps(&other), overlaps);
        prop_assert_eq!(other.overlaps(&one), overlaps);
    }

    #[test]
    fn comparisons_are_those_of_the_texts(one in any_pattern(), other in any_pattern()) {
        prop_assert_eq!(one.cmp(&other), one.as_str().cmp(other.as_str()));
        prop_assert_eq!(one == other, one.as_str() == other.as_str());
    }

    #[test]
    fn uuids_round_trip_in_either_case(bytes in any::<[u8; 16]>()) {
        let text = Uuid::from_bytes(bytes).to_string();
        prop_assert_eq!(text.parse::<Uuid>().map(Uuid::to_bytes), Ok(bytes));
        prop_assert_eq!(text.to_uppercase().parse::<Uuid>().map(Uuid::to_bytes), Ok(bytes));
        prop_assert_eq!(text.len(), 36);
    }

    #[test]
    fn rooms_round_trip_through_their_topics(id in any::<u64>(), name in "[a-zA-Z0-9._-]{1,128}") {
        prop_assert_eq!(UserRoom::from_topic(&UserRoom(id).topic()), Ok(UserRoom(id)));
        let job = JobRoom(Name::new(&name).unwrap());
        prop_assert_eq!(job.topic().to_string(), format!("job:{name}"));
        prop_assert!(JobRoom::all().matches(&job.topic()));
        prop_assert_eq!(JobRoom::from_topic(&job.topic()), Ok(job));
    }
}

#[test]
fn a_uuid_is_read_only_in_its_hyphenated_form() {
    let task = "task:0193e4b0-7c1d-7a2e-8f00-00000000002a";
    let room = TaskRoom::from_topic(&topic(task)).unwrap();
    assert_eq!(room.0.to_bytes()[..3], [0x01, 0x93, 0xe4]);
    assert_eq!(room.topic().as_str(), task);
    for text in [
        "",
        "0193e4b07c1d7a2e8f0000000000002a",
        "0193e4b0-7c1d-7a2e-8f00-00000000002",
        "0193e4b0-7c1d-7a2e-8f00-00000000002a0",
        "0193e4b07-c1d-7a2e-8f00-00000000002a",
        "0193e4b0-7c1d-7a2e-8f00-00000000002é",
    ] {
        assert_eq!(text.parse::<Uuid>(), Err(UuidError), "{text}");
    }
}

#[test]
fn a_topic_is_a_room_of_one_kind_and_one_spelling_only() {
    let task = topic("task:0193E4B0-7c1d-7a2e-8f00-00000000002a");
    let usual = topic("task:0193e4b0-7c1d-7a2e-8f00-00000000002a");
    assert_eq!(
        TaskRoom::from_topic(&task),
        Err(RoomError::Spelling { usual })
    );
    let usual = topic("user:7");
    assert_eq!(
        UserRoom::from_topic(&topic("user:007")),
        Err(RoomError::Spelling { usual })
    );
    for other in [
        "task",
        "task:7",
        "user",
        "users:7",
        "user:x",
        "user:7:inbox",
        "user:18446744073709551616",
    ] {
        assert!(UserRoom::from_topic(&topic(other)).is_err(), "{other}");
    }
    let error = UserRoom::from_topic(&topic("task:7")).unwrap_err();
    assert_eq!(error, RoomError::OtherKind { kind: "user" });
}

#[test]
fn a_name_is_one_segment_of_bounded_length() {
    assert_eq!(
        Name::new("a:b").unwrap_err(),
        TopicErrorKind::SeparatorInName.at(1)
    );
    assert_eq!(Name::new("").unwrap_err(), TopicErrorKind::Empty.at(0));
    let fault = Name::new(&"é".repeat(65)).unwrap_err();
    assert_eq!(fault, TopicErrorKind::NameTooLong { bytes: 130 }.at(128));
    assert_eq!(
        Name::new(&"é".repeat(64)).unwrap().as_str().len(),
        Name::BYTES_MAX
    );
}
