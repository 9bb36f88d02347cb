//! Errors as JavaScript gets them: plain objects with a code and a message, which the package makes typed.

use serde::Serialize;
use tidegate_core::protocol::{ErrorCode, WireError};
use wasm_bindgen::prelude::JsValue;

/// Conversions for what crosses once and may be slow.
pub(crate) mod to_js {
    use super::{ErrorCode, JsValue, Serialize, WireError, plain};
    use tidegate_core::topic::TopicError;

    /// Any serde structure as a plain JavaScript object, as JSON would make it.
    pub(crate) fn object(value: &impl Serialize) -> JsValue {
        value
            .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
            .expect("structures of the core have a JavaScript form")
    }

    /// An error of the core.
    pub(crate) fn error(error: &WireError) -> JsValue {
        object(&plain(error))
    }

    /// A topic or pattern that breaks the syntax.
    pub(crate) fn topic(text: &str, error: &TopicError) -> JsValue {
        let wire = WireError::new(ErrorCode::BadTopic, format!("{text:?}: {error}"));
        self::error(&wire)
    }

    /// A flow that contradicts itself or is out of its range.
    pub(crate) fn bad_flow(message: String) -> JsValue {
        self::error(&WireError::new(ErrorCode::BadFlow, message))
    }

    /// An object that has not the form that it must have.
    pub(crate) fn bad_form(error: impl std::fmt::Display) -> JsValue {
        self::error(&WireError::new(ErrorCode::BadFrame, error.to_string()))
    }
}

/// An error, flat.
#[derive(Serialize)]
pub(crate) struct PlainError<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a str>,
}

/// The flat form of an error.
pub(crate) fn plain(error: &WireError) -> PlainError<'_> {
    PlainError {
        code: error.code.as_str(),
        message: &error.message,
        pattern: error.pattern.as_ref().map(|pattern| pattern.as_str()),
    }
}

/// The note of a publish that failed.
#[derive(Serialize)]
#[serde(tag = "note", rename = "failed")]
pub(crate) struct PublishFailure<'a> {
    request: u64,
    error: PlainError<'a>,
}

impl<'a> PublishFailure<'a> {
    /// The note about the publish that JavaScript knows as `request`.
    pub(crate) fn note(request: u64, error: &'a WireError) -> JsValue {
        to_js::object(&Self {
            request,
            error: plain(error),
        })
    }
}
