//! Arbitrary bytes, as other programs may write them into a stream or publish them on a channel.

use redis::Value;
use tidegate_core::topic::Topic;

use super::announcement::{entry, notice, publication};

/// Anything that is not a publication is skipped. The payload of one that is, is JSON on one line.
pub(crate) fn stream_entries(bytes: &[u8]) {
    notice(bytes);
    let mut parts = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let mut next = || Value::BulkString(parts.next().unwrap_or_default());
    let value = Value::Array(vec![
        next(),
        Value::Array(vec![next(), next(), next(), next()]),
    ]);
    let topic = Topic::new("job:1").expect("a topic");
    let read = [publication(bytes), entry(&topic, 7, &value)];
    for publication in read.into_iter().flatten() {
        let text = publication.payload.as_str();
        assert!(!text.contains(['\n', '\r']), "{text:?}");
        assert!(publication.payload.parse::<serde::de::IgnoredAny>().is_ok());
    }
}
