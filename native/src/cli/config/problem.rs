//! The problems that a configuration can have.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A place in a configuration file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Location {
    pub(super) path: Arc<Path>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// A problem. Its text never contains a secret.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Problem {
    #[error("cannot read the configuration in {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{place}: {reason}")]
    Syntax { place: Location, reason: String },
    #[error("{place}: no setting is called {name:?}{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        place: Location,
        name: String,
        nearest: Option<String>,
    },
    #[error("{place}: {name} takes {expected}")]
    WrongKind {
        place: Location,
        name: String,
        expected: &'static str,
    },
    #[error("{place}: {name}: {reason}")]
    WrongValue {
        place: String,
        name: String,
        reason: String,
    },
    #[error("{first} and {second} are both set ({place}); set only one of them")]
    Contradiction {
        place: String,
        first: String,
        second: String,
    },
}

/// The end of a message about an unknown name.
pub(super) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(in crate::cli) struct Problems(pub(super) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
