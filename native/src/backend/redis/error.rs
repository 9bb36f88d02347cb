//! Converts what Redis answers to errors of a backend.

use std::error::Error as _;

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
            let code = code_of(error.code().unwrap_or_default(), &reason).to_owned();
            by_code(backend, reason, &code)
        }
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            BackendError::Unexpected { backend, reason }
        }
        _ => {
            let reason = match is_lost(error) {
                true => format!("{LOST} ({reason})"),
                false => reason,
            };
            BackendError::Unreachable { backend, reason }
        }
    }
}

/// The reason given for a connection that was open and broke.
const LOST: &str = "the connection was lost";

fn is_lost(error: &RedisError) -> bool {
    // An error of the socket has a cause.
    error.is_connection_dropped() && !error.is_connection_refusal() && error.source().is_some()
}

/// The error of an opening. A server at its limit on clients accepts the connection, and closes it before reading anything.
pub(super) fn of_opening(error: BackendError) -> BackendError {
    match error {
        BackendError::Unreachable { backend, reason } if reason.starts_with(LOST) => {
            let reason = format!("{reason}; has it as many clients as its maxclients allows?");
            BackendError::Unreachable { backend, reason }
        }
        error => error,
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

/// The code of an error. Before Redis 7, a script that failed because of a command answers a code of its own, and the command's code is in
/// the text.
fn code_of<'a>(code: &'a str, text: &'a str) -> &'a str {
    let met = match text.rsplit_once("@user_script") {
        Some((before, met)) if before.contains("Error running script") => met,
        _ => return code,
    };
    let words = met.trim_start_matches([
        ':', ' ', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ]);
    let first = words.split(' ').next().unwrap_or_default();
    let is_code = first.len() > 2 && first.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code { first } else { code }
}

/// The error of a script that was to store a publication. It is about the publication itself if it would occur again and need not concern
/// others: a key of its topic is no longer what the scripts left there, or may not be used.
pub(super) fn publish_error(name: &str, error: &ServerError) -> BackendError {
    let error_of = RedisError::from(error.clone());
    let reason = error_of.to_string();
    if !is_of_keys(error) && code_of(error.code(), &reason) != "NOPERM" {
        return backend_error(name, &error_of);
    }
    BackendError::Content {
        backend: name.to_owned(),
        reason: format!("{reason}; does another program write under this namespace?"),
    }
}

/// Whether a script failed because its keys no longer hold what the scripts left there. Other topics are not concerned.
pub(super) fn is_of_keys(error: &ServerError) -> bool {
    let reason = RedisError::from(error.clone()).to_string();
    match code_of(error.code(), &reason) {
        "WRONGTYPE" => true,
        // Errors because slots are moving are temporary.
        "ERR" => reason.contains("user_script") && !reason.contains("non local key"),
        _ => false,
    }
}

/// The error that a server answered in the place of a value.
pub(super) fn server_error(name: &str, error: &ServerError) -> BackendError {
    backend_error(name, &RedisError::from(error.clone()))
}

/// The error for an answer that was not expected.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that becomes of a script's, from Redis 6.2 or from later versions.
    fn error_of(line: &str) -> BackendError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let Ok(Value::ServerError(error)) = value else {
            panic!("{line} is no error of a server");
        };
        publish_error("redis at cache:6379/0", &error)
    }

    #[test]
    fn what_a_script_met_counts_and_not_that_it_was_a_script() {
        let scripts = [
            "OOM command not allowed when used memory > 'maxmemory'. script: 3d8a, on @user_script:42.",
            "ERR Error running script (call to f_3d8a): @user_script:42: @user_script: 42: -OOM command not allowed when used memory > 'maxmemory'.",
        ];
        for line in scripts {
            assert!(
                matches!(error_of(line), BackendError::Full { .. }),
                "{line}"
            );
        }
        let line = "ERR Error running script (call to f_3d8a): @user_script:42: @user_script: 42: -READONLY You can't write against a read only replica.";
        assert!(matches!(error_of(line), BackendError::Unreachable { .. }));
    }

    #[test]
    fn what_a_topic_makes_of_itself_is_told_apart_from_what_concerns_all() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value script: 3d8a, on @user_script:20.",
            "ERR Error running script (call to f_3d8a): @user_script:20: WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR user_script:44: attempt to perform arithmetic on a nil value script: 3d8a, on @user_script:44.",
            "NOPERM No permissions to access a key",
        ] {
            assert!(
                matches!(error_of(line), BackendError::Content { .. }),
                "{line}"
            );
        }
        for line in [
            "ERR unknown command 'EVALSHA', with args beginning with: ",
            "ERR Script attempted to access a non local key in a cluster node script: 3d8a, on @user_script:20.",
            "LOADING Redis is loading the dataset in memory",
        ] {
            assert!(
                !matches!(error_of(line), BackendError::Content { .. }),
                "{line}"
            );
        }
    }
}
