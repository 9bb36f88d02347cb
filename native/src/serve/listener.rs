//! Where connections come in: a TCP port, a Unix socket, or what the service manager has opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::address::Address;
use super::stream::{Peer, Stream};
#[cfg(unix)]
use super::unix_socket::UnixSocket;

/// A place at which connections come in.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// Why listening fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system refused it.
    #[error("cannot listen on {address}: {reason}{}", advice(reason))]
    Refused {
        /// The address.
        address: Address,
        /// The system's error.
        reason: io::Error,
    },
    /// No socket was inherited.
    #[error(
        "no socket was inherited to listen on; the service manager passes them with LISTEN_FDS and LISTEN_PID"
    )]
    NothingInherited,
    /// This system doesn't support it.
    #[error(
        "{address} can't be listened on: there are no Unix sockets and no service manager on this system"
    )]
    Unsupported {
        /// The address.
        address: Address,
    },
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => "; is another server running there?",
        io::ErrorKind::AddrNotAvailable => "; it is not an address of this machine",
        _ => "",
    }
}

impl Listener {
    /// Listens on an address. This returns several listeners if several sockets are inherited, and otherwise one.
    ///
    /// A Unix socket left behind by a server that no longer runs is replaced. Its owner and group may connect.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(address: &Address) -> Result<Vec<Self>, ListenError> {
        let refused = |reason| ListenError::Refused {
            address: address.clone(),
            reason,
        };
        let kind = match address {
            Address::Tcp(port) => Kind::Tcp(TcpListener::bind(port).await.map_err(refused)?),
            #[cfg(unix)]
            Address::Unix(path) => Kind::Unix(UnixSocket::bind(path).await.map_err(refused)?),
            #[cfg(unix)]
            Address::Inherited => return inherited(address),
            #[cfg(not(unix))]
            Address::Unix(_) | Address::Inherited => {
                let address = address.clone();
                return Err(ListenError::Unsupported { address });
            }
        };
        Ok(vec![Self(kind)])
    }

    /// The TCP address that it listens on, if it is one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(_) => None,
        }
    }

    /// Whether other machines may be able to reach it.
    pub fn is_exposed(&self) -> bool {
        match &self.0 {
            // Without an address, assume the worse.
            Kind::Tcp(listener) => listener
                .local_addr()
                .map_or(true, |address| Address::Tcp(address).is_exposed()),
            #[cfg(unix)]
            Kind::Unix(_) => false,
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self, dead_after: Duration) -> io::Result<(Stream, Peer)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small frames must not wait for each other. If this fails, the connection is merely slower.
                let _ = stream.set_nodelay(true);
                give_up_after(&stream, dead_after);
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
            #[cfg(unix)]
            Kind::Unix(socket) => Ok((Stream::Unix(socket.accept().await?), Peer::Unix)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self(Kind::Unix(listener.into()))
    }
}

/// As it would be written in an address.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("a port"),
            },
            #[cfg(unix)]
            Kind::Unix(socket) => socket.fmt(f),
        }
    }
}

/// Lets the system close a connection whose client doesn't acknowledge what it is sent, because a client that has lost
/// its network can't say so.
#[cfg(target_os = "linux")]
fn give_up_after(stream: &tokio::net::TcpStream, time: Duration) {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    // If this fails, the system closes it later.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, millis);
}

#[cfg(not(target_os = "linux"))]
fn give_up_after(_stream: &tokio::net::TcpStream, _time: Duration) {}

#[cfg(unix)]
fn inherited(address: &Address) -> Result<Vec<Listener>, ListenError> {
    let refused = |reason| ListenError::Refused {
        address: address.clone(),
        reason,
    };
    let mut handed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        let kind = match handed.take_tcp_listener(index) {
            Ok(Some(listener)) => {
                listener.set_nonblocking(true).map_err(refused)?;
                Kind::Tcp(TcpListener::from_std(listener).map_err(refused)?)
            }
            Ok(None) => continue,
            Err(_) => match handed.take_unix_listener(index).map_err(refused)? {
                Some(listener) => {
                    listener.set_nonblocking(true).map_err(refused)?;
                    Kind::Unix(UnixListener::from_std(listener).map_err(refused)?.into())
                }
                None => continue,
            },
        };
        listeners.push(Listener(kind));
    }
    if listeners.is_empty() {
        return Err(ListenError::NothingInherited);
    }
    Ok(listeners)
}
