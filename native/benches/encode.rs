//! Measures converting frames to bytes and bytes to frames, with payloads of about 128 bytes.
//!
//! The code measured is private to the crate, so its files are compiled into this benchmark.

#[path = "../../core/benches/harness/mod.rs"]
mod harness;

#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "only a part of the crate's own code is measured"
)]
#[path = "../src/decode.rs"]
mod decode;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "only a part of the crate's own code is measured"
)]
#[path = "../src/deflate.rs"]
mod deflate;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "only a part of the crate's own code is measured"
)]
#[path = "../src/encode.rs"]
mod encode;
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "only a part of the crate's own code is measured"
)]
#[path = "../src/json.rs"]
mod json;

use std::hint::black_box;
use std::sync::Arc;

use deflate::{Deflater, Inflater};
use encode::Message;
use harness::{Bench, Group, timed};
use json::Json;
use tidegate_core::lifecycle::TerminalRule;
use tidegate_core::payload::Payload as _;
use tidegate_core::protocol::{ServerEnvelope, ServerFrame};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::{Pattern, Topic};

const DATA: &str = r#"{"done":73210,"total":180000,"unit":"files","rate":1520.4,"eta_ms":70241,"status":"RUNNING","line":"src/shard/socket.rs"}"#;

fn main() {
    let bench = Bench::from_args();
    if bench.wants("encode/publication") {
        publication(&bench);
    }
    if bench.wants("encode/join") {
        join(&bench);
    }
    if bench.wants("encode/deflate") {
        deflate(&bench);
    }
    if bench.wants("decode/message") {
        decode(&bench);
    }
    if bench.wants("json") {
        payload(&bench);
    }
}

/// One publication for one subscriber.
fn publication(bench: &Bench) {
    let mut group = Group::new("encode/publication", "frame");
    group.case("first subscriber: encoded and framed", 1, |n| {
        let frames: Vec<_> = (0..n).map(|_| frame(None)).collect();
        timed(n, |i| {
            black_box(encode::message(&frames[i as usize]));
        })
    });
    let shared = frame(None);
    group.case("every other: the same bytes", 1, move |n| {
        timed(n, |_| {
            black_box(encode::message(black_box(&shared)));
        })
    });
    let by_pattern = frame(Some(Pattern::new("job:*").expect("valid")));
    group.case("each subscriber by a pattern", 1, move |n| {
        timed(n, |_| {
            black_box(encode::message(black_box(&by_pattern)));
        })
    });
    let serde_frame = frame(None);
    group.case("for comparison: by serde, not framed", 1, move |n| {
        timed(n, |_| {
            let envelope = ServerEnvelope::from(black_box(&serde_frame));
            black_box(serde_json::to_vec(&envelope).expect("frames have a JSON form"));
        })
    });
    bench.measure(group);
}

/// Frames that wait for the same connection leave in one message.
fn join(bench: &Bench) {
    let mut group = Group::new("encode/join", "frame that is joined");
    for count in [2, 8, 64] {
        let parts: Vec<Message> = (0..count).map(|_| encode::message(&frame(None))).collect();
        group.case(format!("{count} in one message"), count, move |n| {
            timed(n, |_| {
                black_box(Message::join(black_box(&parts).iter()));
            })
        });
    }
    bench.measure(group);
}

/// A publication's message compressed, once for all who get it, and what a client does with it.
fn deflate(bench: &Bench) {
    let mut group = Group::new("encode/deflate", "message");
    let lines = (0..64).map(|line| format!("[{line:04}] {} of {DATA}", line * 7_919 % 1_000));
    let large = serde_json::to_string(&lines.collect::<Vec<_>>()).expect("texts");
    for (name, payload) in [("120 bytes", DATA), ("10 KiB", &large[..])] {
        let text = encode::message(&frame_of(payload)).text_bytes().to_vec();
        let mut deflater = Deflater::default();
        let mut data = Vec::new();
        assert!(deflater.deflate(&text, &mut data), "it gets shorter");
        println!(
            "{name}: a text of {} bytes becomes {}",
            text.len(),
            data.len()
        );
        let bytes_max = text.len();
        group.case(format!("{name}: compressed"), 1, move |n| {
            let mut out = Vec::new();
            timed(n, |_| {
                out.clear();
                black_box(deflater.deflate(black_box(&text), &mut out));
            })
        });
        let mut inflater = Inflater::default();
        group.case(format!("{name}: decompressed"), 1, move |n| {
            let copies: Vec<_> = (0..n).map(|_| data.clone()).collect();
            let mut copies = copies.into_iter();
            timed(n, |_| {
                let data = copies.next().expect("one each");
                black_box(inflater.inflate(data, bytes_max)).expect("our own");
            })
        });
    }
    bench.measure(group);
}

/// Parsing what a client sent.
fn decode(bench: &Bench) {
    let publish = format!(r#"{{"type":"publish","ref":7,"topic":"job:42","data":{DATA}}}"#);
    let several = format!("[{}]", [publish.as_str(); 8].join(","));
    let mut group = Group::new("decode/message", "frame of a client");
    for (name, frames, text) in [
        ("ping", 1, r#"{"type":"ping"}"#),
        (
            "subscribe, throttled",
            1,
            r#"{"type":"subscribe","pattern":"job:42","flow":{"throttle_ms":1000}}"#,
        ),
        ("publish", 1, &publish),
        ("publish, 8 in one message", 8, &several),
    ] {
        let decoded = decode::client_message(text);
        assert!(decoded.iter().all(Result::is_ok), "{decoded:?}");
        group.case(name, frames, move |n| {
            timed(n, |_| {
                black_box(decode::client_message(black_box(text)));
            })
        });
    }
    bench.measure(group);
}

/// Operations on the content of payloads.
fn payload(bench: &Bench) {
    let json = Json::from_text(DATA).expect("valid");
    let newer = Json::from_text(r#"{"done":73300,"rate":1498.0}"#).expect("valid");
    let rule = TerminalRule::default();
    let (json, newer) = (&json, &newer);
    let mut group = Group::new("json", "payload");
    group.case("checked and taken", 1, |n| {
        let texts: Vec<String> = (0..n).map(|_| DATA.to_owned()).collect();
        let mut texts = texts.into_iter();
        timed(n, |_| {
            black_box(texts.next().map(Json::from_text))
                .expect("one each")
                .expect("valid");
        })
    });
    group.case("looked at by the terminal rule", 1, |n| {
        timed(n, |_| {
            black_box(rule.evaluate(black_box(json)));
        })
    });
    group.case("conflated: merge", 1, |n| {
        timed(n, |_| {
            black_box(json.merge(black_box(newer)));
        })
    });
    group.case("conflated: sum", 1, |n| {
        timed(n, |_| {
            black_box(json.sum(black_box(newer)));
        })
    });
    bench.measure(group);
}

fn frame(via: Option<Pattern>) -> ServerFrame<Json> {
    match frame_of(DATA) {
        ServerFrame::Publication { publication, .. } => {
            ServerFrame::Publication { publication, via }
        }
        other => other,
    }
}

fn frame_of(data: &str) -> ServerFrame<Json> {
    let publication = Arc::new(Publication {
        topic: Topic::new("job:42").expect("valid"),
        position: Position {
            epoch: 4_503_599_627_370_496,
            offset: 73_210,
        },
        payload: Json::from_text(data).expect("valid"),
        end: None,
    });
    ServerFrame::Publication {
        publication,
        via: None,
    }
}
