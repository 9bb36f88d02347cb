//! What SQLite's errors mean for publishers and followers, and what to do about them.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use super::BUSY_TIMEOUT;
use crate::backend::BackendError;

/// Why something failed, and whether the link can still be used.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) error: BackendError,
    pub(super) is_loss: bool,
}

impl Fault {
    /// What `error` means for `backend`.
    pub(super) fn of(backend: &str, error: &rusqlite::Error) -> Self {
        let (code, extended) = match error {
            rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
            _ => (ErrorCode::Unknown, 0),
        };
        let backend = backend.to_owned();
        let unreachable = |reason: String| BackendError::Unreachable {
            backend: backend.clone(),
            reason,
        };
        let refused = |reason: String| BackendError::Refused {
            backend: backend.clone(),
            reason,
        };
        let kept = |error| Self {
            error,
            is_loss: false,
        };
        let lost = |error| Self {
            error,
            is_loss: true,
        };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => kept(unreachable(format!(
                "another process has kept it locked for {BUSY_TIMEOUT:?} ({error}); end that process or its \
                 transaction (`fuser` and `lsof` tell which have the file open; a stopped one holds its lock)"
            ))),
            ErrorCode::DiskFull => kept(full(backend.clone(), error)),
            ErrorCode::SystemIoFailure if extended == ffi::SQLITE_IOERR_SHMSIZE => {
                kept(full(backend.clone(), error))
            }
            ErrorCode::ReadOnly if extended == ffi::SQLITE_READONLY_DBMOVED => {
                lost(unreachable(MOVED.to_owned()))
            }
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied => kept(refused(format!(
                "{error}; give this user the right to write the file, its -wal and -shm, and to their directory"
            ))),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                lost(BackendError::Unexpected {
                    backend: backend.clone(),
                    reason: format!(
                        "{error}; move the file and its -wal and -shm away, then restore a backup or let a new one be made"
                    ),
                })
            }
            ErrorCode::CannotOpen => lost(unreachable(format!(
                "{error}; check that its directory exists and that this user may write there"
            ))),
            ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed => lost(unreachable(error.to_string())),
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
                kept(BackendError::Content {
                    backend: backend.clone(),
                    reason: format!(
                        "{error}; the table pubsub_events must accept rows that have a channel and data only"
                    ),
                })
            }
            ErrorCode::TooBig => kept(BackendError::Content {
                backend: backend.clone(),
                reason: error.to_string(),
            }),
            _ => kept(BackendError::Unexpected {
                backend: backend.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// The file of `backend` was moved or replaced, so its link can't be used any more.
    pub(super) fn moved(backend: &str) -> Self {
        Self {
            error: BackendError::Unreachable {
                backend: backend.to_owned(),
                reason: MOVED.to_owned(),
            },
            is_loss: true,
        }
    }
}

const MOVED: &str = "the file was removed or replaced while it was open; opening it again makes or takes what is there";

fn full(backend: String, error: &rusqlite::Error) -> BackendError {
    BackendError::Full {
        backend,
        reason: format!(
            "{error}; free space on its disk or raise the limit of its size, and publishing goes on by itself"
        ),
    }
}

/// Whether the only problem is that another process is writing.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether the only problem is the content of a row, which another program has written.
pub(super) const fn is_of_rows(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i32) -> Fault {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Fault::of("sqlite file /var/lib/tidegate.db", &error)
    }

    #[test]
    fn what_passes_by_itself_keeps_the_link() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_READONLY] {
            assert!(!fault(code).is_loss, "{code}");
        }
    }

    #[test]
    fn a_damaged_or_missing_file_ends_the_link() {
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_READONLY_DBMOVED,
        ] {
            assert!(fault(code).is_loss, "{code}");
        }
    }

    #[test]
    fn each_kind_has_its_error() {
        assert!(matches!(
            fault(ffi::SQLITE_FULL).error,
            BackendError::Full { .. }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_IOERR_SHMSIZE).error,
            BackendError::Full { .. }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_BUSY).error,
            BackendError::Unreachable { .. }
        ));
        assert!(matches!(
            fault(ffi::SQLITE_READONLY).error,
            BackendError::Refused { .. }
        ));
        for code in [ffi::SQLITE_CONSTRAINT_CHECK, ffi::SQLITE_TOOBIG] {
            assert!(matches!(fault(code).error, BackendError::Content { .. }));
        }
        assert!(matches!(
            fault(ffi::SQLITE_NOTADB).error,
            BackendError::Unexpected { .. }
        ));
    }
}
