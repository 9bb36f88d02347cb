//! Addresses of backends, as people write them, and as they may be shown.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::backend::BackendError;

/// The address of a backend. Its text forms never contain a password.
///
/// Written as `memory`, `sqlite:PATH`, `postgres://…`, `redis://…`, `rediss://…` or `auto`. `sqlite`, `postgres` and
/// `redis` alone take the place from the environment.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The first that can be reached of those that the environment names.
    Auto,
    /// In this process only.
    Memory,
    /// An SQLite file; without a path, the default one.
    Sqlite(Option<PathBuf>),
    /// A PostgreSQL database; without an address, that of `DATABASE_URL`.
    Postgres(Option<ServerUrl>),
    /// A Redis or Valkey; without an address, that of `REDIS_URL`, or of `REDIS_HOST` with `REDIS_PORT` and
    /// `REDIS_PASSWORD`.
    Redis(Option<ServerUrl>),
}

/// The address of a server with its password, which its text forms omit.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    pub(super) const fn new(url: String) -> Self {
        Self(url)
    }

    /// The whole address, including the password. Only the server may see it.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

const EXPECTED: &str = "expected memory, sqlite:PATH, postgres://…, redis://…, rediss://… or auto";

impl FromStr for Address {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        let wrong = |reason: &str| BackendError::Address {
            address: shown(text),
            reason: reason.to_owned(),
        };
        match text {
            "auto" => return Ok(Self::Auto),
            "memory" => return Ok(Self::Memory),
            "sqlite" => return Ok(Self::Sqlite(None)),
            "postgres" | "postgresql" => return Ok(Self::Postgres(None)),
            "redis" => return Ok(Self::Redis(None)),
            _ => {}
        }
        let (scheme, rest) = text.split_once(':').ok_or_else(|| wrong(EXPECTED))?;
        if scheme == "sqlite" {
            return match sqlite_path(rest) {
                "" => Err(wrong(
                    "a path is expected, such as sqlite:/var/lib/tidegate/tidegate.db",
                )),
                ":memory:" => Err(wrong("it would be lost with its connection; write memory")),
                path => Ok(Self::Sqlite(Some(path.into()))),
            };
        }
        let server = rest.strip_prefix("//").ok_or_else(|| wrong(EXPECTED))?;
        let url = ServerUrl::new(text.to_owned());
        match scheme {
            "postgres" | "postgresql" | "redis" | "rediss" if server.is_empty() => {
                Err(wrong("a host is expected behind ://"))
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(Some(url))),
            "redis" | "rediss" => Ok(Self::Redis(Some(url))),
            _ => Err(wrong(EXPECTED)),
        }
    }
}

/// Accepts `PATH` and `//PATH`, and drops what other libraries put after a `?`.
fn sqlite_path(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(path) => path.split('?').next().unwrap_or_default(),
        None => rest,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(None) => f.write_str("sqlite"),
            Self::Sqlite(Some(path)) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(None) => f.write_str("postgres"),
            Self::Redis(None) => f.write_str("redis"),
            Self::Postgres(Some(url)) | Self::Redis(Some(url)) => url.fmt(f),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

/// What may be shown of a text that should be an address: its scheme, hosts and path. Credentials and options are left
/// out, and so is everything that can't be told apart from them.
pub(super) fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':') else {
        return if is_word(text) {
            text.to_owned()
        } else {
            "…".to_owned()
        };
    };
    if scheme == "sqlite" {
        return format!("sqlite:{}", sqlite_path(rest));
    }
    if !is_word(scheme) {
        return "…".to_owned();
    }
    let place = rest.strip_prefix("//").and_then(place);
    format!("{scheme}://{}", place.unwrap_or("…"))
}

/// The hosts and the path of the text after `://`.
fn place(rest: &str) -> Option<&str> {
    let (head, options) = match rest.find(['?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    // An @ after a ? may end a password that was not encoded.
    if options.contains('@') {
        return None;
    }
    let place = head.rsplit_once('@').map_or(head, |(_, place)| place);
    let (hosts, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let is_plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    let is_harmless = hosts.split(',').all(is_host) && path.chars().all(is_plain);
    is_harmless.then_some(place)
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let is_address = address
                .chars()
                .all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.');
            return is_address
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_number));
        }
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    // A password without an @ after it looks like a host without a name.
    !name.is_empty() && name.chars().all(is_plain) && is_number(port)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_is_understood_and_shown_as_it_is_written() {
        for text in [
            "auto",
            "memory",
            "sqlite",
            "postgres",
            "redis",
            "sqlite:topics.db",
            "sqlite:/var/lib/tidegate/topics.db",
            "postgres://db.example:5432/app",
            "postgresql://one,two:5433/app",
            "redis://cache:6379/0",
            "rediss://[::1]:6380/1",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn paths_are_taken_from_the_forms_of_other_libraries() {
        for (text, path) in [
            ("sqlite:a b.db", "a b.db"),
            ("sqlite://topics.db", "topics.db"),
            ("sqlite:///var/topics.db?mode=rwc", "/var/topics.db"),
        ] {
            assert_eq!(parse(text), Address::Sqlite(Some(path.into())));
        }
    }

    #[test]
    fn what_names_no_backend_is_refused_with_what_is_expected() {
        for (text, told) in [
            ("", "expected memory"),
            ("redsi", "redsi"),
            ("mysql://host/db", "expected memory"),
            ("redis:host", "expected memory"),
            ("redis://", "a host is expected"),
            ("sqlite:", "a path is expected"),
            ("sqlite::memory:", "write memory"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn no_password_is_ever_shown() {
        for text in [
            "redis://:hunter2@cache:6379/0",
            "redis://hunter2@cache",
            "rediss://user:hunter2@cache:6379/0?timeout_ms=5",
            "redis://:hunter2",
            "redis://:hunter2/0",
            "redis://:a@hunter2@cache/0",
            "redis://:a/hunter2@cache/0",
            "redis://:a?hunter2@cache/0",
            "redis://:hunter2?a@cache/0",
            "redis://:hunter2#a@cache/0",
            "redis://:%68unter2hunter2@cache/0",
            "postgres://user:hunter2@db/app?sslmode=require",
            "postgres://user@db/app?password=hunter2",
            "postgres://user@db/app?password=a@hunter2",
            "postgres://user@db/app#hunter2",
            "postgres://user:hunter2@one,two/app",
            "mysql://user:hunter2@db/app",
            "user:hunter2@db/app",
            "hunter2@db",
            "redis:hunter2",
        ] {
            let told = match text.parse::<Address>() {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!told.contains("hunter2"), "{text}: {told}");
        }
    }
}
