//! Reads the environment. An empty variable counts as not set.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A variable that is set, but not in UTF-8. Ignoring it could send to one server what was meant for another.
#[derive(Debug, thiserror::Error)]
#[error("the variable {0} is not UTF-8")]
pub(super) struct NotText(String);

/// The value of a variable.
pub(super) fn variable(name: &str) -> Result<Option<String>, NotText> {
    let text = said(name).map(OsString::into_string).transpose();
    text.map_err(|_| NotText(name.to_owned()))
}

/// The file that a variable names, which need not be text.
pub(super) fn file(name: &str) -> Option<PathBuf> {
    said(name).map(PathBuf::from)
}

fn said(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads variables for callers that take an unreadable one as not set, and remembers that there was one.
#[derive(Default)]
pub(super) struct Reader(Mutex<Option<NotText>>);

impl Reader {
    pub(super) fn read(&self, name: &str) -> Option<String> {
        variable(name).unwrap_or_else(|error| {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
            None
        })
    }

    /// # Errors
    /// The first variable that could not be read.
    pub(super) fn end(self) -> Result<(), NotText> {
        let failure = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }
}
