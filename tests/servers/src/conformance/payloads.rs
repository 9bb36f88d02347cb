//! Payloads and topics arrive unchanged.

use tidegate_core::limits::{NESTING_MAX, TOPIC_BYTES_MAX};

use super::{Peer, Place, publication_of, request};

/// Texts that would change if they were parsed and written again.
const TEXTS: [&str; 30] = [
    "null",
    "true",
    "0",
    "-0",
    "1.0",
    "1e3",
    "1E+2",
    "1.10",
    "0.1e-7",
    "123456789012345678901234567890",
    "3.14159265358979323846264338327950288",
    "1e999",
    "\"\"",
    "\"\\u0000\"",
    "\"\\u0041\\/\\b\\f\\n\\r\\t\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{ffff}\"",
    "\"😀 e\u{301} é\"",
    "\"'; DROP TABLE pubsub_events; --\"",
    "\"$1 %s {} \\\\\"",
    "[]",
    "{}",
    "[ 1 ,2,   3 ]",
    "{ \"b\" : 1, \"a\" : 2 }",
    "{\"a\":1,\"a\":2}",
    "{\"\":{\"\":\"\"}}",
    "{\"id\":1,\"channel\":\"x\",\"epoch\":0,\"offset\":0}",
    "{\"status\":\"RUNNING\",\"progress\":0.30000000000000004}",
    "[[],{},\"\",0,null,[[[[{}]]]]]",
];

/// With the spelling of numbers, the order of members, escapes and spaces as they were.
pub async fn texts_arrive_byte_for_byte<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:**"]).await;
    let nested = format!("{}{}", "[".repeat(NESTING_MAX), "]".repeat(NESTING_MAX));
    for text in TEXTS.into_iter().chain([nested.as_str()]) {
        let request = request("job:1", text);
        let position = here.try_publish(request.clone()).await.expect("stored");
        let kept = [publication_of(&request, position)];
        assert_eq!(there.hear("job:1", &[position]).await, kept);
        assert_eq!(there.read("job:1", None).await.publications, kept);
        assert_eq!(here.list("job:1").await[0].publications, kept);
    }
}

/// The largest payload, made of characters that grow when they are escaped.
pub async fn a_mebibyte_arrives<P: Place>() {
    const BYTES: usize = 1024 * 1024;
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:*"]).await;
    for filling in ["x", "\\\"", "é", "😀"] {
        let text = format!("\"{}\"", filling.repeat((BYTES - 2) / filling.len()));
        let request = request("job:1", &text);
        let position = here.try_publish(request.clone()).await.expect("stored");
        let publication = publication_of(&request, position);
        assert!(
            there.hear("job:1", &[position]).await == [publication.clone()],
            "heard as published"
        );
        assert!(
            here.read("job:1", None).await.publications == [publication],
            "kept as published"
        );
    }
}

/// Topics are compared byte by byte: letter case and composition matter.
pub async fn topics_of_any_script_are_distinct<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    let topics = [
        "задача:42",
        "任务:四十二",
        "وظيفة:٤٢",
        "job:🚀",
        "job:👩\u{200d}🚀",
        "job:é",
        "job:e\u{301}",
        "job:É",
        "job:ß",
        "job:SS",
        "job:ss",
        "JOB:ss",
        "job:ı",
        "job:i",
        "job:I",
        "job:İ",
    ];
    there.follow(&topics).await;
    there.follow(&["*:*"]).await;
    for name in topics {
        let position = here.publish(name, &format!("\"{name}\"")).await;
        assert_eq!(position.offset, 1, "{name}");
        there.hear(name, &[position]).await;
    }
    for name in topics {
        let kept = there.read(name, None).await;
        assert_eq!(kept.publications[0].payload.as_str(), format!("\"{name}\""));
    }
    assert_eq!(there.list("**").await.len(), topics.len());
}

/// Of a single segment, or of as many as fit.
pub async fn the_longest_topic_is_a_topic<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    let one = "x".repeat(TOPIC_BYTES_MAX);
    let many = vec!["x"; TOPIC_BYTES_MAX.div_ceil(2)].join(":");
    for name in [&one, &many] {
        there.follow(&[name]).await;
        let position = here.publish(name, "1").await;
        there.hear(name, &[position]).await;
        assert_eq!(there.offsets(name, None).await, [1]);
    }
    assert_eq!(here.list("**").await.len(), 2);
}
