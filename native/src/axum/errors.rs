//! Counts the errors that callers over HTTP were sent.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::Response;
use tidegate_core::protocol::ErrorCode;

use super::served::Served;

/// The codes of the errors in an answer. They travel with it as an extension, to be counted.
#[derive(Clone, Debug)]
pub(super) struct Codes(pub(super) Vec<ErrorCode>);

/// How many errors of each code were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct ErrorCounts(Arc<Mutex<Vec<(ErrorCode, u64)>>>);

impl ErrorCounts {
    fn count(&self, code: ErrorCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => counts.push((code, 1)),
        }
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Vec<(ErrorCode, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

/// Counts the errors in an answer.
pub(super) async fn count(State(served): State<Served>, answer: Response) -> Response {
    if let Some(Codes(codes)) = answer.extensions().get() {
        codes.iter().for_each(|code| served.errors.count(*code));
    }
    answer
}
