//! The address of a server, as people write it.

/// An address that is not one of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing that can be connected to.
    #[error("{url:?} is not the address of a server; write http://HOST:PORT")]
    Malformed {
        /// What was given.
        url: String,
    },
    /// An encrypted connection, which this build cannot make.
    #[error(
        "{url:?} needs TLS, which this program does not speak; connect through a local proxy or over http://"
    )]
    Tls {
        /// What was given.
        url: String,
    },
}

/// The WebSocket's address: `http://host:port/base` becomes `ws://host:port/base/ws`.
pub(super) fn socket_url(url: &str) -> Result<String, UrlError> {
    let malformed = || UrlError::Malformed {
        url: url.to_owned(),
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    match scheme {
        "http" | "ws" => {}
        "https" | "wss" => {
            return Err(UrlError::Tls {
                url: url.to_owned(),
            });
        }
        _ => return Err(malformed()),
    }
    let socket_url = format!("ws://{}/ws", rest.trim_end_matches('/'));
    let uri: axum::http::Uri = socket_url.parse().map_err(|_| malformed())?;
    match uri.host() {
        Some(host) if !host.is_empty() => Ok(socket_url),
        Some(_) | None => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_those_of_the_socket() {
        for url in ["http://a:1", "http://a:1/", "ws://a:1", "a:1"] {
            assert_eq!(socket_url(url).as_deref(), Ok("ws://a:1/ws"), "{url}");
        }
        assert_eq!(socket_url("http://a/base").as_deref(), Ok("ws://a/base/ws"));
        assert!(matches!(socket_url("https://a"), Err(UrlError::Tls { .. })));
        for url in ["", "ftp://a", "http://", "http://a b"] {
            assert!(
                matches!(socket_url(url), Err(UrlError::Malformed { .. })),
                "{url:?}"
            );
        }
    }
}
