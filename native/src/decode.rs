//! Parses messages into frames.

use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_core::limits::NESTING_MAX;
use tidegate_core::protocol::{
    ClientEnvelope, ClientFrame, ErrorCode, ServerEnvelope, ServerFrame, WireError,
};

use crate::json::{Json, is_deeper_than};

/// Parses a client's message: one frame, or an array of frames. An element that is not a frame becomes the error to
/// answer it with.
pub(crate) fn client_message(text: &str) -> Vec<Result<ClientFrame<Json>, WireError>> {
    match elements(text) {
        Ok(frames) => frames
            .into_iter()
            .map(|frame| client_frame(frame.get()))
            .collect(),
        Err(error) => vec![Err(error)],
    }
}

fn client_frame(text: &str) -> Result<ClientFrame<Json>, WireError> {
    let envelope: ClientEnvelope<Json> = parse(text)?;
    let (pattern, request) = (envelope.pattern.clone(), envelope.request);
    // The frame itself is one level.
    if is_deeper_than(text, NESTING_MAX + 1) {
        let message = format!("a frame's data may be nested {NESTING_MAX} deep");
        return Err(WireError {
            request,
            ..WireError::new(ErrorCode::BadFrame, message)
        });
    }
    ClientFrame::try_from(envelope).map_err(|error| WireError {
        pattern: pattern.and_then(|pattern| pattern.parse().ok()),
        request,
        ..error.to_wire()
    })
}

/// The frames of a server's message.
pub(crate) fn server_message(text: &str) -> Result<Vec<ServerFrame<Json>>, WireError> {
    elements(text)?
        .into_iter()
        .map(|frame| {
            let envelope: ServerEnvelope<Json> = parse(frame.get())?;
            ServerFrame::try_from(envelope).map_err(|error| error.to_wire())
        })
        .collect()
}

fn elements(text: &str) -> Result<Vec<&RawValue>, WireError> {
    if text.trim_start().starts_with('[') {
        parse(text)
    } else {
        Ok(vec![parse(text)?])
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, WireError> {
    serde_json::from_str(text)
        .map_err(|error| WireError::new(ErrorCode::BadFrame, format!("not a frame: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_holds_several_frames_and_a_bad_one_spoils_only_itself() {
        let frames = client_message(
            r#"[{"type":"ping"},{"type":"sing"},{"type":"subscribe","pattern":"a"}]"#,
        );
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[0], Ok(ClientFrame::Ping));
        let error = frames[1].as_ref().expect_err("there is no such type");
        assert_eq!(error.code, ErrorCode::BadFrame);
        assert!(error.message.contains("sing"), "{error}");
        assert!(frames[2].is_ok());
    }

    #[test]
    fn an_error_names_the_request_that_it_answers() {
        let frames = client_message(r#"{"type":"publish","ref":9,"topic":"a b","data":1}"#);
        let error = frames[0].as_ref().expect_err("a topic has no spaces");
        assert_eq!((error.code, error.request), (ErrorCode::BadTopic, Some(9)));
    }

    #[test]
    fn data_that_is_nested_too_deeply_is_a_bad_frame() {
        for depth in [NESTING_MAX, NESTING_MAX + 1] {
            let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let text = format!(
                r#"[{{"type":"publish","ref":9,"topic":"a","data":{data}}},{{"type":"ping"}}]"#
            );
            let frames = client_message(&text);
            let refused = frames[0]
                .as_ref()
                .err()
                .map(|error| (error.code, error.request));
            let due = (depth > NESTING_MAX).then_some((ErrorCode::BadFrame, Some(9)));
            assert_eq!(refused, due);
            assert_eq!(frames[1], Ok(ClientFrame::Ping));
        }
    }

    #[test]
    fn what_is_not_json_is_a_bad_frame() {
        for text in ["", "{", "1", "null", "[", "\"ping\"", "[1]"] {
            let frames = client_message(text);
            assert!(
                frames.iter().all(Result::is_err) && !frames.is_empty(),
                "{text:?}"
            );
        }
    }
}
