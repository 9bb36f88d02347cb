//! What a shard reads from and writes to: a socket, or TLS over one. None of it waits.

#[cfg(feature = "tls")]
mod tls;

use std::io::{self, Read as _, Write as _};

use mio::event::Source;
use mio::{Interest, Registry, Token};
#[cfg(target_os = "linux")]
use rustix::net::{SendFlags, send};

#[cfg(unix)]
use crate::lingering::Lingering;
#[cfg(feature = "tls")]
use tls::Tls;

/// A non-blocking byte stream with a WebSocket or an event stream on it.
pub(crate) enum Transport {
    Tcp(mio::net::TcpStream),
    /// A Unix socket: a client's, or the near end of a pair whose far end is an HTTP server's connection that isn't a plain
    /// socket.
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    /// Boxed, because it is large, and most are not.
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

impl Transport {
    /// What TLS makes of `below`, on which hands have been shaken.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(below: Self, session: rustls::ServerConnection) -> Self {
        Self::Tls(Box::new(Tls::new(below, session)))
    }

    /// Watches the socket, edge by edge.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.source().register(registry, token, interest)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // A socket that cannot be taken off the poll leaves it by being closed.
        let _ = self.source().deregister(registry);
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.below().source(),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Takes bytes. What it has taken may still wait here for its socket: [`Transport::flush`] goes on with that.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // The C library's call can be cancelled by another thread, for which each delivery would pay 1 %.
            #[cfg(target_os = "linux")]
            Self::Tcp(stream) => Ok(send(stream, bytes, SendFlags::NOSIGNAL)?),
            #[cfg(not(target_os = "linux"))]
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Goes on until its socket has all that was taken, or takes no more (`WouldBlock`).
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// What keeps its socket open once this is dropped.
    ///
    /// # Errors
    /// When there are as many open files as there may be.
    #[cfg(unix)]
    pub(super) fn lingering(&self) -> io::Result<Lingering> {
        match self {
            Self::Tcp(stream) => Lingering::tcp(stream),
            Self::Unix(stream) => Lingering::unix(stream),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.lingering(),
        }
    }
}
