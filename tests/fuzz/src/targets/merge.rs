//! Merging and summing payloads.

use tidegate::Json;
use tidegate_core::payload::Payload as _;

use crate::Source;

/// Any two payloads can be merged and summed, and the result is JSON again.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let texts = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => [&bytes[..at], &bytes[at + 1..]]
            .map(String::from_utf8_lossy)
            .map(String::from),
        None => [source.value(), source.value()].map(|value| value.to_string()),
    };
    let [Ok(one), Ok(other)] = texts.map(Json::from_text) else {
        return;
    };
    for both in [one.merge(&other), one.sum(&other)] {
        assert!(Json::from_text(both.as_str()).is_ok(), "{both}");
    }
}
