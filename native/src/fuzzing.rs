//! What takes bytes from elsewhere, for tests that make the bytes up. Each function panics when something breaks that must hold.
//!
//! For the project's own tests, and no part of what is promised: behind the feature `fuzzing`.

use crate::decode;
use crate::deflate::{InflateError, Inflater};
use crate::encode;

/// What compressed messages become at most.
const INFLATED_BYTES_MAX: usize = 64 * 1024;

/// Messages of clients and servers become frames or errors; a frame of a server says the same once it was written and read again.
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

/// Compressed bytes become no more than they may.
pub fn deflate(bytes: &[u8]) {
    let mut inflater = Inflater::default();
    // What came before leaves no trace.
    for _ in 0..2 {
        match inflater.inflate(bytes.to_vec(), INFLATED_BYTES_MAX) {
            Ok(text) => assert!(text.len() <= INFLATED_BYTES_MAX),
            Err(InflateError::Malformed | InflateError::TooLarge) => {}
        }
    }
}

/// What asks for an event stream is understood, or refused as the client's fault; an id says the same once it was written and read again.
pub fn events_query(bytes: &[u8]) {
    crate::axum::fuzz_events_query(bytes);
}

/// What a client sends over a WebSocket is the same messages however it is cut into pieces, and what is kept of it is bounded.
pub fn websocket(bytes: &[u8]) {
    crate::shard::fuzz_websocket(bytes);
}

/// What somebody writes into a stream, or says on a channel, is a publication or nothing.
#[cfg(feature = "redis")]
pub fn stream_entries(bytes: &[u8]) {
    crate::backend::fuzz_stream_entries(bytes);
}
