//! Which publications end their topic: what their publishers say of that, and what the rule reads in payloads.

use serde_json::{Value, json};
use tidegate_core::hub::ServerConfig;
use tidegate_core::lifecycle::{EndReason, StatedEnd, TerminalRule};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_tests::topic;
use tidegate_tests::wire::{Wire, kinds, payloads};

use crate::terminal::{publish, request, subscribe, subscriber, wire};

/// Why the hub takes a payload for terminal, if it does.
fn judged(config: ServerConfig, data: &Value) -> Option<EndReason> {
    let mut wire = Wire::new(config);
    publish(&mut wire, request(data.clone())).expect("the topic is new");
    wire.server
        .latest(&topic("job:1"))
        .expect("it was published")
        .end
}

#[test]
fn a_status_in_any_letter_case_is_terminal() {
    let words = [
        ("complete", EndReason::Complete),
        ("failed", EndReason::Failed),
        ("cancelled", EndReason::Cancelled),
    ];
    for (word, reason) in words {
        let mixed: String = word
            .char_indices()
            .map(|(at, letter)| {
                if at % 2 == 0 {
                    letter.to_ascii_uppercase()
                } else {
                    letter
                }
            })
            .collect();
        for status in [word.to_owned(), word.to_uppercase(), mixed] {
            let data = json!({ "status": status, "progress": 1 });
            assert_eq!(judged(ServerConfig::new(1), &data), Some(reason), "{data}");
        }
    }
}

#[test]
fn what_only_looks_like_an_end_is_none() {
    for data in [
        json!({ "status": "RUNNING" }),
        json!({ "status": "completed" }),
        json!({ "status": " complete" }),
        json!({ "status": ["COMPLETE"] }),
        json!({ "status": 1 }),
        json!({ "job": { "status": "COMPLETE" } }),
        json!({ "Status": "COMPLETE" }),
        json!("COMPLETE"),
        json!(["status", "COMPLETE"]),
        json!(null),
    ] {
        assert_eq!(judged(ServerConfig::new(1), &data), None, "{data}");
    }
}

#[test]
fn the_rule_is_the_operators() {
    let data = json!({ "state": "Done", "status": "COMPLETE" });
    let mut config = ServerConfig::new(1);
    let rule = TerminalRule::new("state").with_word("DONE", EndReason::Cancelled);
    config.hub.terminal_rule = Some(rule);
    assert_eq!(judged(config.clone(), &data), Some(EndReason::Cancelled));
    config.hub.terminal_rule = None;
    assert_eq!(judged(config, &data), None);
}

#[test]
fn an_explicit_end_goes_before_the_rule() {
    let mut wire = wire();
    let terminal = PublishRequest {
        end: Some(StatedEnd::Failed),
        ..request(json!({ "status": "COMPLETE" }))
    };
    publish(&mut wire, terminal).unwrap();
    let latest = wire.server.latest(&topic("job:1")).unwrap();
    assert_eq!(latest.end, Some(EndReason::Failed));
}

#[test]
fn a_status_ends_nothing_where_the_publisher_says_so() {
    let mut wire = wire();
    let id = subscriber(&mut wire, &json!({ "pattern": "job:1" }));
    let data = json!({ "status": "FAILED" });
    let no_end = PublishRequest {
        end: Some(StatedEnd::None),
        ..request(data.clone())
    };
    let first = publish(&mut wire, no_end).unwrap();
    let late = wire.open();
    subscribe(&mut wire, late, &json!({ "pattern": "job:1" }));
    let by_frame = json!({
        "type": "publish", "ref": 1, "topic": "job:1", "data": data, "end": "none"
    });
    let publisher = wire.open();
    assert_eq!(wire.said(publisher, &by_frame), ["welcome", "published"]);
    let started = wire.receive(late);
    assert_eq!(kinds(&started), ["welcome", "subscribed", "pub", "pub"]);
    for frames in [&started[2..], &wire.receive(id)] {
        assert_eq!(payloads(frames), [data.clone(), data.clone()]);
        assert!(frames.iter().all(|frame| frame.get("end").is_none()));
    }
    let next = publish(&mut wire, request(json!(3))).unwrap();
    assert_eq!(next, Position { offset: 3, ..first });
}
