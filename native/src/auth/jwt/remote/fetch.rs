//! Fetching a key set: one request over a connection of its own. Redirections are not followed.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AGE, CACHE_CONTROL, HOST, LOCATION, USER_AGENT};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;

use super::address::KeySetUrl;
use crate::auth::JwtError;
use crate::client::{ClientOptions, HandshakeError, ReachError, ServerStream};

/// The most bytes of a key set. Those of providers have a few thousand bytes.
const BYTES_MAX: usize = 256 * 1024;

/// How long fetching one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was fetched.
pub(super) struct Fetched {
    pub(super) body: Bytes,
    /// How long it is fresh, if the response says so.
    pub(super) age: Option<Duration>,
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it cannot be reached: {0}")]
    Unreachable(std::io::Error),
    #[error(
        "the certificate of {host} is not signed by an authority that is trusted here; if you trust it, name a PEM file with its authority in SSL_CERT_FILE"
    )]
    UnknownIssuer { host: String },
    #[error(
        "this system has no certificate authorities to trust; install them (ca-certificates), or name some by SSL_CERT_FILE"
    )]
    NoAuthorities,
    #[error(transparent)]
    Insecure(HandshakeError),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("it answers {status} and redirects to {to:?}; if that is right, give that address")]
    Elsewhere { status: StatusCode, to: String },
    #[error("it answers {0}")]
    Refused(StatusCode),
    #[error("its answer breaks off, or has more than 256 KiB: {0}")]
    Unread(axum::Error),
    #[error("its answer is not an OpenID Connect discovery document: {0}")]
    NoDocument(serde_json::Error),
    #[error(
        "the issuer there is {issuer:?}; write exactly that, also with or without the slash at its end"
    )]
    OtherIssuer { issuer: String },
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    #[error(transparent)]
    Keys(#[from] JwtError),
}

impl From<ReachError> for FetchError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Io(error) => Self::Unreachable(error),
            // The advice in that error is not for operators of a server.
            ReachError::Insecure(HandshakeError::UnknownIssuer { host }) => {
                Self::UnknownIssuer { host }
            }
            ReachError::Insecure(HandshakeError::NoAuthorities) => Self::NoAuthorities,
            ReachError::Insecure(error) => Self::Insecure(error),
        }
    }
}

/// Fetches the URL, within limits of time and size.
///
/// # Errors
/// As [`FetchError`] says.
pub(super) async fn fetch(url: &KeySetUrl, options: &ClientOptions) -> Result<Fetched, FetchError> {
    let fetched = tokio::time::timeout(PATIENCE, ask(url, options));
    fetched.await.unwrap_or(Err(FetchError::TooSlow))
}

async fn ask(url: &KeySetUrl, options: &ClientOptions) -> Result<Fetched, FetchError> {
    let stream = ServerStream::connect(&url.server, options).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let request = Request::get(&url.target)
        .header(HOST, url.server.authority())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .body(Body::empty())
        .expect("an address that was parsed has a path and a host");
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        check(head.status, &head.headers)?;
        let body = to_bytes(Body::new(body), BYTES_MAX).await;
        Ok(Fetched {
            body: body.map_err(FetchError::Unread)?,
            age: age(&head.headers),
        })
    };
    // Drive the connection while waiting for the response. Its own result adds nothing to that.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        fetched = exchange => fetched,
        never = driven => match never {},
    }
}

fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), FetchError> {
    if status == StatusCode::OK {
        return Ok(());
    }
    match headers.get(LOCATION) {
        Some(to) if status.is_redirection() => Err(FetchError::Elsewhere {
            status,
            to: String::from_utf8_lossy(to.as_bytes()).into_owned(),
        }),
        Some(_) | None => Err(FetchError::Refused(status)),
    }
}

/// How long a response is fresh from now on: `max-age`, less the time that it has spent in a cache on the way (RFC
/// 9111, 4.2).
fn age(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |text: &str| text.trim().trim_matches('"').parse::<u64>().ok();
    let texts = headers.get_all(CACHE_CONTROL).into_iter();
    let max_age = texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(','))
        .find_map(|directive| {
            let (name, value) = directive.split_once('=')?;
            let is_own = name.trim().eq_ignore_ascii_case("max-age");
            is_own.then(|| seconds(value)).flatten()
        })?;
    let spent = headers.get(AGE).and_then(|text| text.to_str().ok());
    let spent = spent.and_then(seconds).unwrap_or(0);
    Some(Duration::from_secs(max_age.saturating_sub(spent)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn how_long_an_answer_is_good_is_read_from_what_caches_are_told() {
        for (headers, seconds) in [
            (&[][..], None),
            (&[(CACHE_CONTROL, "no-cache, no-store")], None),
            (&[(CACHE_CONTROL, "max-age=soon")], None),
            (&[(CACHE_CONTROL, "s-maxage=7")], None),
            (&[(CACHE_CONTROL, "public, max-age=3600")], Some(3600)),
            (
                &[(CACHE_CONTROL, "Max-Age = \"15\",stale-if-error=9")],
                Some(15),
            ),
            (
                &[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=60")],
                Some(60),
            ),
            (&[(CACHE_CONTROL, "max-age=100"), (AGE, "40")], Some(60)),
            (&[(CACHE_CONTROL, "max-age=100"), (AGE, "400")], Some(0)),
        ] {
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(age(&all), seconds.map(Duration::from_secs), "{all:?}");
        }
    }
}
