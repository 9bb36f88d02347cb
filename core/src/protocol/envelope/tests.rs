mod any;

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use any::{any_client_frame, any_server_frame};

use super::*;
use crate::flow::{Conflate, Flow};
use crate::lifecycle::StatedEnd;
use crate::protocol::{ClientFrame, ServerFrame, Start, SubscribeRequest, TopicPosition};
use crate::publication::{Position, Publication};

const CODES: [ErrorCode; 21] = [
    ErrorCode::BadFrame,
    ErrorCode::BadTopic,
    ErrorCode::BadFlow,
    ErrorCode::AlreadySubscribed,
    ErrorCode::NotSubscribed,
    ErrorCode::TooManySubscriptions,
    ErrorCode::TooManyTopics,
    ErrorCode::TooManyRequests,
    ErrorCode::TooManyPresences,
    ErrorCode::TooLarge,
    ErrorCode::TopicEnded,
    ErrorCode::Forbidden,
    ErrorCode::Timeout,
    ErrorCode::SlowConsumer,
    ErrorCode::Draining,
    ErrorCode::Superseded,
    ErrorCode::Disconnected,
    ErrorCode::ConnectionLost,
    ErrorCode::Unavailable,
    ErrorCode::Refused,
    ErrorCode::Internal,
];

proptest! {
    #[test]
    fn every_client_frame_survives_its_text(frame in any_client_frame()) {
        let text = serde_json::to_string(&ClientEnvelope::from(&frame)).unwrap();
        let envelope: ClientEnvelope<Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(ClientFrame::try_from(envelope), Ok(frame), "{}", text);
    }

    #[test]
    fn every_server_frame_survives_its_text(frame in any_server_frame()) {
        let text = serde_json::to_string(&ServerEnvelope::from(&frame)).unwrap();
        let envelope: ServerEnvelope<Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(ServerFrame::try_from(envelope), Ok(frame), "{}", text);
    }

    #[test]
    fn members_that_nobody_knows_are_ignored(frame in any_client_frame(), name in "x_[a-z]{1,8}") {
        let mut value = serde_json::to_value(ClientEnvelope::from(&frame)).unwrap();
        value[name] = json!({ "anything": [1, null] });
        prop_assert_eq!(client(&value), Ok(frame));
    }

    #[test]
    fn members_that_no_client_knows_are_ignored(frame in any_server_frame(), name in "x_[a-z]{1,8}") {
        let mut value = serde_json::to_value(ServerEnvelope::from(&frame)).unwrap();
        value[name] = json!({ "anything": [1, null] });
        prop_assert_eq!(server(&value), Ok(frame));
    }
}

fn client(value: &Value) -> Result<ClientFrame<Value>, FrameError> {
    let envelope = serde_json::from_str::<ClientEnvelope<Value>>(&value.to_string());
    ClientFrame::try_from(envelope.expect("it has the form of an envelope"))
}

fn server(value: &Value) -> Result<ServerFrame<Value>, FrameError> {
    let envelope = serde_json::from_str::<ServerEnvelope<Value>>(&value.to_string());
    ServerFrame::try_from(envelope.expect("it has the form of an envelope"))
}

/// `frame` without one of its members.
fn without(frame: &Value, member: &str) -> Value {
    let mut frame = frame.clone();
    let members = frame.as_object_mut().unwrap();
    assert!(members.remove(member).is_some(), "{member}");
    frame
}

#[test]
fn a_null_is_a_payload() {
    let publish = json!({ "type": "publish", "ref": 1, "topic": "a", "data": null });
    let Ok(ClientFrame::Publish { publish, .. }) = client(&publish) else {
        panic!("it is a publish");
    };
    assert_eq!(publish.payload, Value::Null);
    let publication = json!({ "type": "pub", "topic": "a", "epoch": 1, "offset": 1, "data": null });
    let frame = server(&publication).unwrap();
    let text = serde_json::to_value(ServerEnvelope::from(&frame)).unwrap();
    assert_eq!(text, publication, "and is written as one");
}

#[test]
fn an_end_is_said_by_its_word_or_not_at_all() {
    let words = [
        ("none", StatedEnd::None),
        ("complete", StatedEnd::Complete),
        ("failed", StatedEnd::Failed),
        ("cancelled", StatedEnd::Cancelled),
    ];
    for (word, end) in words {
        let publish = json!({ "type": "publish", "ref": 1, "topic": "a", "data": 1, "end": word });
        let Ok(ClientFrame::Publish { publish, .. }) = client(&publish) else {
            panic!("it is a publish");
        };
        assert_eq!(publish.end, Some(end));
        assert_eq!((end.as_str(), word.to_uppercase().parse()), (word, Ok(end)));
    }
    let without = json!({ "type": "publish", "ref": 1, "topic": "a", "data": 1 });
    let Ok(ClientFrame::Publish { publish, .. }) = client(&without) else {
        panic!("it is a publish");
    };
    assert_eq!(
        (publish.end, "done".parse::<StatedEnd>().ok()),
        (None, None)
    );
}

#[test]
fn a_payload_that_stays_text_is_not_touched() {
    let data = "{ \"n\" : 1.50, \"big\":123456789012345678901234567890, \"n\": 2 }";
    let text = format!("{{\"data\":{data},\"topic\":\"a\",\"ref\":1,\"type\":\"publish\"}}");
    let envelope: ClientEnvelope<Box<RawValue>> = serde_json::from_str(&text).unwrap();
    let frame = ClientFrame::try_from(envelope).unwrap();
    let ClientFrame::Publish { publish, .. } = &frame else {
        panic!("it is a publish");
    };
    assert_eq!(publish.payload.get(), data);
    let again = serde_json::to_string(&ClientEnvelope::from(&frame)).unwrap();
    assert!(again.contains(data), "{again}");
}

#[test]
fn a_missing_member_of_a_client_frame_is_named() {
    for (frame, members) in [
        (
            json!({ "type": "subscribe", "pattern": "a" }),
            &["pattern"][..],
        ),
        (
            json!({ "type": "unsubscribe", "pattern": "a" }),
            &["pattern"],
        ),
        (json!({ "type": "flow", "pattern": "a" }), &["pattern"]),
        (
            json!({ "type": "publish", "ref": 1, "topic": "a", "data": 1 }),
            &["ref", "topic", "data"],
        ),
    ] {
        assert!(client(&frame).is_ok(), "{frame}");
        let kind = frame["type"].as_str().unwrap();
        for member in members {
            let error = client(&without(&frame, member)).unwrap_err();
            assert!(
                matches!(error, FrameError::Missing { frame, member: named }
                    if frame == kind && named == *member),
                "{error}"
            );
            assert_eq!(error.to_wire().code, ErrorCode::BadFrame);
            assert!(error.to_wire().message.contains(member));
        }
    }
}

#[test]
fn a_missing_member_of_a_server_frame_is_named() {
    let publication = json!({ "type": "pub", "topic": "a", "epoch": 1, "offset": 2, "data": 1 });
    for (frame, members) in [
        (
            json!({ "type": "welcome", "heartbeat_ms": 1 }),
            &["heartbeat_ms"][..],
        ),
        (
            json!({ "type": "subscribed", "pattern": "a" }),
            &["pattern"],
        ),
        (
            json!({ "type": "unsubscribed", "pattern": "a" }),
            &["pattern"],
        ),
        (publication.clone(), &["topic", "epoch", "offset", "data"]),
        (
            json!({ "type": "batch", "items": [publication] }),
            &["items"],
        ),
        (
            json!({ "type": "reset", "topic": "a", "epoch": 1, "offset": 2 }),
            &["topic", "epoch", "offset"],
        ),
        (
            json!({ "type": "lagged", "pattern": "a", "missed": 1 }),
            &["pattern", "missed"],
        ),
        (
            json!({ "type": "end", "pattern": "a", "reason": "failed" }),
            &["pattern", "reason"],
        ),
        (
            json!({ "type": "published", "ref": 1, "epoch": 1, "offset": 2 }),
            &["ref", "epoch", "offset"],
        ),
        (json!({ "type": "error", "code": "timeout" }), &["code"]),
    ] {
        assert!(server(&frame).is_ok(), "{frame}");
        let kind = frame["type"].as_str().unwrap();
        for member in members {
            let error = server(&without(&frame, member)).unwrap_err();
            assert!(
                matches!(error, FrameError::Missing { frame, member: named }
                    if frame == kind && named == *member),
                "{error}"
            );
        }
    }
}

#[test]
fn what_breaks_the_syntax_is_a_bad_topic_and_says_at_which_byte() {
    for (text, at) in [
        ("", 0),
        (":a", 0),
        ("a::b", 2),
        ("a:", 2),
        ("a b", 1),
        ("é:\n", 3),
        ("a:b*", 3),
    ] {
        let frames = [
            json!({ "type": "subscribe", "pattern": text }),
            json!({ "type": "unsubscribe", "pattern": text }),
            json!({ "type": "flow", "pattern": text }),
            json!({ "type": "publish", "ref": 1, "topic": text, "data": 1 }),
        ];
        for frame in frames {
            let error = client(&frame).unwrap_err().to_wire();
            assert_eq!(error.code, ErrorCode::BadTopic, "{frame}");
            let byte = format!("at byte {at}:");
            assert!(error.message.contains(&byte), "{frame}: {error}");
        }
    }
    let wildcard = json!({ "type": "publish", "ref": 1, "topic": "job:*", "data": 1 });
    let error = client(&wildcard).unwrap_err().to_wire();
    assert_eq!(error.code, ErrorCode::BadTopic);
    assert!(error.message.contains("at byte 4"), "{error}");
}

#[test]
fn a_flow_that_contradicts_itself_or_is_out_of_range_is_a_bad_flow() {
    for flow in [
        json!({ "throttle_ms": 1, "debounce_ms": 1 }),
        json!({ "throttle_ms": 0 }),
        json!({ "throttle_ms": 86_400_001_u64 }),
        json!({ "debounce_ms": 0 }),
        json!({ "debounce_ms": 1, "max_wait_ms": 0 }),
        json!({ "max_wait_ms": 1 }),
        json!({ "throttle_ms": 1, "max_wait_ms": 1 }),
        json!({ "leading": true }),
        json!({ "trailing": false }),
        json!({ "max": 3 }),
        json!({ "throttle_ms": 1, "conflate": "latest", "max": 3 }),
        json!({ "throttle_ms": 1, "conflate": "collect", "max": 0 }),
        json!({ "throttle_ms": 1, "conflate": "collect", "max": 10_001 }),
    ] {
        for kind in ["subscribe", "flow"] {
            let frame = json!({ "type": kind, "pattern": "a", "flow": flow });
            let error = client(&frame).unwrap_err().to_wire();
            assert_eq!(error.code, ErrorCode::BadFlow, "{frame}");
        }
    }
}

#[test]
fn flows_have_the_defaults_that_are_promised() {
    let millis = Duration::from_millis;
    let max = NonZeroU32::new(1000).unwrap();
    let merged = |flow: Flow| flow.with_conflate(Conflate::Merge);
    for (spec, expected) in [
        (json!({}), Flow::IMMEDIATE),
        (json!({ "throttle_ms": 1000 }), Flow::throttle(millis(1000))),
        (json!({ "debounce_ms": 300 }), Flow::debounce(millis(300))),
        (
            json!({ "throttle_ms": 5, "conflate": "merge" }),
            merged(Flow::throttle(millis(5))),
        ),
        (
            json!({ "throttle_ms": 5, "conflate": "collect" }),
            Flow::throttle(millis(5)).with_conflate(Conflate::Collect { max }),
        ),
    ] {
        let frame = json!({ "type": "flow", "pattern": "a", "flow": spec });
        let Ok(ClientFrame::Flow { flow, .. }) = client(&frame) else {
            panic!("{frame}");
        };
        assert_eq!(flow, expected, "{spec}");
    }
}

#[test]
fn what_has_not_the_form_of_a_frame_is_refused_by_serde() {
    for text in [
        "",
        "1",
        "[]",
        "{}",
        r#"{"type":"nonsense"}"#,
        r#"{"type":"Ping"}"#,
        r#"{"type":"publish","ref":-1,"topic":"a","data":1}"#,
        r#"{"type":"publish","ref":1,"topic":"a","data":1,"end":"done"}"#,
        r#"{"type":"subscribe","pattern":["a"]}"#,
        r#"{"type":"subscribe","pattern":"a","flow":{"throttle":1}}"#,
        r#"{"type":"subscribe","pattern":"a","since":[{"topic":"a::b","epoch":1,"offset":1}]}"#,
        r#"{"type":"subscribe","pattern":"a","since":[{"topic":"a","epoch":1}]}"#,
        r#"{"type":"ping""#,
    ] {
        let envelope = serde_json::from_str::<ClientEnvelope<Value>>(text);
        assert!(envelope.is_err(), "{text}");
    }
}

#[test]
fn the_start_of_a_subscription_is_where_its_members_say() {
    let start = |members: Value| {
        let mut frame = json!({ "type": "subscribe", "pattern": "a" });
        frame
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        match client(&frame) {
            Ok(ClientFrame::Subscribe(request)) => request.start,
            other => panic!("{other:?}"),
        }
    };
    let known = json!([{ "topic": "a", "epoch": 3, "offset": 4 }]);
    let since = Start::Since(vec![TopicPosition {
        topic: Topic::new("a").unwrap(),
        position: Position {
            epoch: 3,
            offset: 4,
        },
    }]);
    assert_eq!(start(json!({})), Start::Latest);
    assert_eq!(start(json!({ "latest": true })), Start::Latest);
    assert_eq!(start(json!({ "latest": false })), Start::New);
    assert_eq!(start(json!({ "since": known })), since);
    assert_eq!(start(json!({ "since": known, "latest": false })), since);
    assert_eq!(start(json!({ "since": [] })), Start::Since(Vec::new()));
}

#[test]
fn what_is_absent_is_not_written() {
    let pattern = Pattern::new("job:42").unwrap();
    let request = SubscribeRequest::new(pattern, Flow::IMMEDIATE);
    let frame: ClientFrame<Value> = ClientFrame::Subscribe(request);
    let text = serde_json::to_string(&ClientEnvelope::from(&frame)).unwrap();
    assert_eq!(text, r#"{"type":"subscribe","pattern":"job:42"}"#);
    let frame: ServerFrame<Value> = ServerFrame::Publication {
        publication: Arc::new(Publication {
            topic: Topic::new("job:42").unwrap(),
            position: Position {
                epoch: 7,
                offset: 1,
            },
            payload: json!({ "progress": 0.5 }),
            end: None,
        }),
        via: None,
    };
    let text = serde_json::to_string(&ServerEnvelope::from(&frame)).unwrap();
    assert_eq!(
        text,
        r#"{"type":"pub","topic":"job:42","epoch":7,"offset":1,"data":{"progress":0.5}}"#
    );
}

#[test]
fn each_code_is_written_as_it_is_called() {
    let written: Vec<Value> = CODES
        .iter()
        .map(|code| serde_json::to_value(code).unwrap())
        .collect();
    let called: Vec<&str> = CODES.iter().map(|code| code.as_str()).collect();
    assert_eq!(written, called);
}
