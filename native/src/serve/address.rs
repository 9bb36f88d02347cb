//! Where to listen, as people write it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen on: `127.0.0.1:8420`, `[::]:8420`, `unix:/run/tidegate.sock`, or `inherited` for the sockets
/// that the service manager has opened (`LISTEN_FDS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
    /// Every socket that was handed to this process.
    Inherited,
}

/// A text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an address to listen on; expected 127.0.0.1:8420, unix:/path/to/socket or inherited"
)]
pub struct AddressError {
    text: String,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text == "inherited" {
            return Ok(Self::Inherited);
        }
        let wrong = || AddressError {
            text: text.to_owned(),
        };
        match text.strip_prefix("unix:") {
            Some("") => Err(wrong()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited => f.write_str("inherited"),
        }
    }
}

impl Address {
    /// Whether other machines may be able to reach it. For inherited sockets, this is known once they are
    /// [open](super::Listener::is_exposed).
    pub fn is_exposed(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) | Self::Inherited => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in [
            "127.0.0.1:8420",
            "[::1]:0",
            "unix:/run/a b.sock",
            "inherited",
        ] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
        for text in ["", "8420", "localhost:8420", "unix:", "/run/a.sock"] {
            let error = text.parse::<Address>().expect_err("none");
            assert!(error.to_string().contains("unix:/path"), "{error}");
        }
    }

    #[test]
    fn only_ports_of_other_addresses_than_loopback_are_exposed() {
        let is_exposed = |text: &str| text.parse::<Address>().expect("an address").is_exposed();
        assert!(is_exposed("0.0.0.0:1") && is_exposed("192.0.2.7:1") && is_exposed("[::]:1"));
        assert!(!is_exposed("127.0.0.1:1") && !is_exposed("[::1]:1") && !is_exposed("unix:/a"));
    }
}
