//! The code that takes bytes from outside, for fuzzing. Each function panics if an invariant is broken.
//!
//! For the project's own tests, behind the feature `fuzzing`, and not part of the public API.

use crate::decode;
use crate::deflate::{InflateError, Inflater};
use crate::encode;

/// The most bytes that a compressed message may inflate to.
const INFLATED_BYTES_MAX: usize = 64 * 1024;

/// Messages of clients and servers become frames or errors, and a server's frame stays the same when it is written and read again.
pub fn messages(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for frame in decode::client_message(&text) {
        if let Err(error) = frame {
            assert!(!error.message.is_empty(), "{error:?}");
        }
    }
    for frame in decode::server_message(&text).unwrap_or_default() {
        let written = encode::message(&frame);
        let written = std::str::from_utf8(written.text_bytes()).expect("text");
        let read = decode::server_message(written).expect("what this side writes");
        assert_eq!(read, [frame], "{written}");
    }
}

/// Inflating never yields more bytes than the limit.
pub fn deflate(bytes: &[u8]) {
    let mut inflater = Inflater::default();
    // An earlier message leaves no trace.
    for _ in 0..2 {
        match inflater.inflate(bytes.to_vec(), INFLATED_BYTES_MAX) {
            Ok(text) => assert!(text.len() <= INFLATED_BYTES_MAX),
            Err(InflateError::Malformed | InflateError::TooLarge) => {}
        }
    }
}

/// A request for an event stream is understood, or refused as the client's fault. An event id stays the same when it is written and read
/// again.
pub fn events_query(bytes: &[u8]) {
    crate::axum::fuzz_events_query(bytes);
}

/// A client's bytes are the same messages however they are cut into reads, and a bounded number of bytes is kept of them.
pub fn websocket(bytes: &[u8]) {
    crate::shard::fuzz_websocket(bytes);
}

/// An entry in a stream, or a message on a channel, is a publication or is ignored.
#[cfg(feature = "redis")]
pub fn stream_entries(bytes: &[u8]) {
    crate::backend::fuzz_stream_entries(bytes);
}
