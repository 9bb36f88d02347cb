//! What PostgreSQL's errors mean to a hub.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::backend::BackendError;

/// The text of an error with its causes. tokio-postgres itself shows only the outermost one.
pub(super) fn text(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let detail = db.detail().map(|detail| format!(" ({detail})"));
        return format!(
            "{} [{}]{}",
            db.message(),
            db.code().code(),
            detail.unwrap_or_default()
        );
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

/// Converts an error to a backend's.
pub(super) fn backend_error(place: &str, error: &tokio_postgres::Error) -> BackendError {
    let backend = place.to_owned();
    let reason = text(error);
    let Some(code) = error.code() else {
        return match advice_without_code(&reason) {
            Some(advice) => BackendError::Refused {
                backend,
                reason: format!("{reason}; {advice}"),
            },
            None => BackendError::Unreachable { backend, reason },
        };
    };
    if let Some(advice) = advice(code) {
        let reason = format!("{reason}; {advice}");
        return BackendError::Refused { backend, reason };
    }
    if *code == SqlState::DISK_FULL {
        return BackendError::Full { backend, reason };
    }
    if is_passing(code) {
        return BackendError::Unreachable { backend, reason };
    }
    BackendError::Unexpected { backend, reason }
}

/// The error of a call that stores publications.
pub(super) fn content_error(place: &str, error: &tokio_postgres::Error) -> BackendError {
    let Some(code) = error.code().filter(|code| is_of_content(code)) else {
        return backend_error(place, error);
    };
    let advice = advice(code).map(|advice| format!("; {advice}"));
    BackendError::Content {
        backend: place.to_owned(),
        reason: text(error) + &advice.unwrap_or_default(),
    }
}

/// Whether an error is about what is being stored, and would occur again: a value that a column, a constraint or a policy refuses (22, 23,
/// 44, 42501), more than PostgreSQL can hold (54), or an error of the application's triggers (21, 27, 38, 39, P0).
fn is_of_content(code: &SqlState) -> bool {
    let code = code.code();
    let class = code.get(..2).unwrap_or_default();
    matches!(
        class,
        "21" | "22" | "23" | "27" | "38" | "39" | "44" | "54" | "P0"
    ) || code == "42501"
}

/// What to do about a refusal by tokio-postgres itself, which has no code.
fn advice_without_code(reason: &str) -> Option<&'static str> {
    if reason.starts_with("authentication error") || reason.starts_with("invalid configuration") {
        Some("check user and password in the address")
    } else if reason.contains("does not support TLS") {
        Some("turn on ssl there, or ask for less by sslmode=")
    } else if reason.contains("certificate") {
        Some(
            "name the authority that signed it by sslrootcert=, or trust anyone by sslmode=require",
        )
    } else {
        None
    }
}

/// What to do about a refusal by the server.
fn advice(code: &SqlState) -> Option<&'static str> {
    match code.code() {
        "28P01" | "28000" => Some("check user and password in the address, and pg_hba.conf"),
        "3D000" => Some("create it with CREATE DATABASE, or name another in the address"),
        "42501" => Some(
            "let the tables' owner run what `migrate=false` shows, and GRANT this user SELECT, INSERT, UPDATE and DELETE on them, and USAGE on their sequences",
        ),
        "3F000" => Some("create it with CREATE SCHEMA, or name another in table="),
        "55P03" => Some("a transaction holds the table; try again when it has ended"),
        "23502" => Some("give that column of the application's table a default"),
        _ => None,
    }
}

/// Whether the same call may succeed later: another server has taken over, or another transaction was in the way.
fn is_passing(code: &SqlState) -> bool {
    ends_link(code) || matches!(code.code(), "53300" | "53400" | "57014" | "40001" | "40P01")
}

/// Whether an error means that this connection is of no more use: class 08, a server that stops or starts, or one that is read-only (a
/// standby after a failover).
pub(super) fn ends_link(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25006")
}
