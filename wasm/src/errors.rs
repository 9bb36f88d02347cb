//! Errors for JavaScript: a code and a message, which the package turns into a typed error.

use alloc::string::String;

use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::topic::TopicError;

use crate::json::Object;
use crate::records;

/// The result of a call that failed; the text beside the list is then the error.
pub(crate) const FAILED: u32 = u32::MAX;

/// The result of a call: its number, or [`FAILED`].
pub(crate) fn number_or_failed(result: Result<u32, WireError>) -> u32 {
    result.unwrap_or_else(|error| {
        records::begin();
        records::add_text(&plain(&error).close());
        FAILED
    })
}

/// An error as a flat object.
pub(crate) fn plain(error: &WireError) -> Object {
    let pattern = error.pattern.as_ref().map(|pattern| pattern.as_str());
    Object::new()
        .text("code", error.code.as_str())
        .text("message", &error.message)
        .optional_text("pattern", pattern)
}

/// Records that the publish that JavaScript knows as `request` has failed.
pub(crate) fn push_publish_failure(request: u64, error: &WireError) {
    records::push_note(
        Object::new()
            .text("note", "failed")
            .number("request", request)
            .object("error", plain(error)),
    );
}

/// A topic or pattern that breaks the syntax.
pub(crate) fn bad_topic(text: &str, error: TopicError) -> WireError {
    let mut message = String::from("'");
    message.push_str(text);
    message.push_str("': ");
    message.push_str(&error.message());
    WireError::new(ErrorCode::BadTopic, message)
}

/// A flow that contradicts itself or is out of its range.
pub(crate) fn bad_flow(message: String) -> WireError {
    WireError::new(ErrorCode::BadFlow, message)
}
