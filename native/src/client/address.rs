//! The address of a server, as people write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use axum::http::Uri;

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not an address that can be connected to.
    #[error(
        "{url:?} is not the address of a server; write http://HOST:PORT, https://HOST or unix:/PATH/TO/SOCKET"
    )]
    Malformed {
        /// What was given.
        url: String,
    },
    /// It needs TLS, which this program was built without.
    #[error(
        "{url:?} needs TLS, and this program was built without it (the feature `tls`); connect through a local proxy or over http://"
    )]
    Tls {
        /// What was given.
        url: String,
    },
}

/// The address of a server: `http://HOST:PORT/BASE`, or `https://…` for TLS. `ws://…` and `wss://…` mean the same; an
/// address without a scheme means HTTP. The default ports are 80 and 443. A server that listens on a Unix socket is
/// addressed as it is told to listen, `unix:/path/to/socket`, and sees the host `localhost` in requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// The path of the Unix socket that it listens on, if it does.
    socket: Option<PathBuf>,
    is_secure: bool,
    /// As it was written: an IPv6 address has brackets.
    host: String,
    port: Option<u16>,
    /// What comes before the paths of the server's endpoints: nothing, or a path without a slash at its end.
    base: String,
}

impl ServerAddress {
    fn of_socket(path: PathBuf) -> Self {
        Self {
            socket: Some(path),
            is_secure: false,
            host: "localhost".to_owned(),
            port: None,
            base: String::new(),
        }
    }

    /// The path of the Unix socket that the server listens on, if it does. Its host and port are then meaningless.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Whether the connection uses TLS.
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    /// Host and port, as in the header `Host`.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The path of an endpoint, such as `/debug`.
    pub fn path(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.base)
    }

    /// The WebSocket's address: `http://host:port/base` becomes `ws://host:port/base/ws`.
    pub(super) fn socket_url(&self) -> String {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.authority(), self.path("/ws"))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.socket {
            return write!(f, "unix:{}", path.display());
        }
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

impl FromStr for ServerAddress {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed {
            url: url.to_owned(),
        };
        if let Some(path) = url.strip_prefix("unix:") {
            return match path {
                "" => Err(malformed()),
                path => Ok(Self::of_socket(path.into())),
            };
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_secure = match scheme {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(malformed()),
        };
        if is_secure && !cfg!(feature = "tls") {
            return Err(UrlError::Tls {
                url: url.to_owned(),
            });
        }
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?;
        let host = authority.host();
        if host.is_empty() || uri.query().is_some() {
            return Err(malformed());
        }
        // A user name before the host is dropped, and never shown: clients identify themselves by a token.
        let (_, place) = authority
            .as_str()
            .rsplit_once('@')
            .unwrap_or(("", authority.as_str()));
        let port = match place.strip_prefix(host) {
            Some("") => None,
            Some(port) => {
                let port = port.strip_prefix(':').and_then(|port| port.parse().ok());
                Some(port.ok_or_else(malformed)?)
            }
            None => return Err(malformed()),
        };
        Ok(Self {
            socket: None,
            is_secure,
            host: host.to_owned(),
            port,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket_url(url: &str) -> Result<String, UrlError> {
        url.parse()
            .map(|address: ServerAddress| address.socket_url())
    }

    #[test]
    fn addresses_become_those_of_the_socket() {
        for url in ["http://a:1", "http://a:1/", "ws://a:1", "a:1"] {
            assert_eq!(socket_url(url).as_deref(), Ok("ws://a:1/ws"), "{url}");
        }
        assert_eq!(socket_url("http://a/base").as_deref(), Ok("ws://a/base/ws"));
        for url in ["", "ftp://a", "http://", "http://a b", "a:70000", "a?b=c"] {
            assert!(
                matches!(socket_url(url), Err(UrlError::Malformed { .. })),
                "{url:?}"
            );
        }
    }

    #[test]
    fn ports_are_those_of_the_scheme_where_none_is_written() {
        let address: ServerAddress = "http://[::1]/live/".parse().unwrap();
        assert_eq!((address.host(), address.port()), ("::1", 80));
        assert_eq!(address.authority(), "[::1]");
        assert_eq!(address.path("/debug"), "/live/debug");
        let address: ServerAddress = "ws://ada:secret@a:8420".parse().unwrap();
        assert_eq!(address.authority(), "a:8420");
    }

    #[test]
    fn a_unix_socket_is_named_as_a_server_listens_on_it() {
        let address: ServerAddress = "unix:/run/a b.sock".parse().unwrap();
        assert_eq!(address.socket(), Some(Path::new("/run/a b.sock")));
        assert_eq!(address.to_string(), "unix:/run/a b.sock");
        assert_eq!(address.socket_url(), "ws://localhost/ws");
        assert!(!address.is_secure());
        let address: ServerAddress = "http://unix:1".parse().unwrap();
        assert_eq!((address.socket(), address.host()), (None, "unix"));
        let error = "unix:".parse::<ServerAddress>().unwrap_err();
        assert!(error.to_string().contains("unix:/"), "{error}");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn https_and_wss_are_encrypted() {
        for url in ["https://a", "wss://a/"] {
            assert_eq!(socket_url(url).as_deref(), Ok("wss://a/ws"), "{url}");
        }
        let address: ServerAddress = "https://a".parse().unwrap();
        assert_eq!((address.is_secure(), address.port()), (true, 443));
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn what_can_not_be_encrypted_is_refused() {
        assert!(matches!(socket_url("https://a"), Err(UrlError::Tls { .. })));
    }
}
