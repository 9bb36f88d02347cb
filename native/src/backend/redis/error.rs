//! What Redis says, as the errors of a backend.

use redis::{ErrorKind, RedisError, ServerError, Value};

use crate::backend::BackendError;

/// The error of a call that the library or the server refused.
pub(super) fn backend_error(name: &str, error: &RedisError) -> BackendError {
    let backend = name.to_owned();
    let reason = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed => BackendError::Refused { backend, reason },
        ErrorKind::RESP3NotSupported => BackendError::Refused {
            backend,
            reason: format!("{reason}; Redis 6.2 or Valkey is needed, for a Cluster Redis 7"),
        },
        ErrorKind::Server(_) | ErrorKind::Extension => {
            by_code(backend, reason, error.code().unwrap_or_default())
        }
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            BackendError::Unexpected { backend, reason }
        }
        _ => BackendError::Unreachable { backend, reason },
    }
}

fn by_code(backend: String, reason: String, code: &str) -> BackendError {
    match code {
        "OOM" | "MISCONF" => BackendError::Full { backend, reason },
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => BackendError::Refused { backend, reason },
        "CROSSSLOT" => BackendError::Refused {
            backend,
            reason: format!("{reason}; for a Cluster, add cluster=true to the address"),
        },
        "LOADING" | "READONLY" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK"
        | "BUSY" | "NOREPLICAS" => BackendError::Unreachable { backend, reason },
        _ => BackendError::Unexpected { backend, reason },
    }
}

/// The error that a server answered in the place of a value.
pub(super) fn server_error(name: &str, error: &ServerError) -> BackendError {
    backend_error(name, &RedisError::from(error.clone()))
}

/// An answer that is none of those that are expected.
pub(super) fn unexpected(name: &str, what: &str) -> BackendError {
    BackendError::Unexpected {
        backend: name.to_owned(),
        reason: format!("{what}; does another program write under this namespace?"),
    }
}

/// A text that the server sent.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
