//! The transports of a shard: a socket, or TLS over one. None of their calls block.

#[cfg(feature = "tls")]
mod tls;

use std::io::{self, Read as _, Write as _};

#[cfg(unix)]
use bytes::Bytes;
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
    /// Boxed, because it is large, and most transports are not TLS.
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

impl Transport {
    /// TLS over `below`, after the handshake.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(below: Self, session: rustls::ServerConnection) -> Self {
        Self::Tls(Box::new(Tls::new(below, session)))
    }

    /// Registers the socket, edge-triggered.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.source().register(registry, token, interest)
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // If this fails, closing the socket removes it from the poll.
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

    /// Accepts bytes. With TLS, accepted bytes may still wait for the socket; [`Transport::flush`] writes them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // A raw system call: the C library's `send` is a cancellation point, which costs each delivery 1 %.
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

    /// Writes until the socket has everything that was accepted, or accepts no more (`WouldBlock`).
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// What has to be written to the socket itself so that the client gets what was accepted before, then these pieces, and then nothing
    /// more. No further calls may write.
    #[cfg(unix)]
    pub(super) fn conclude(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => pieces,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => vec![tls.conclude(&pieces)],
        }
    }

    /// A handle that keeps the socket open after this is dropped.
    ///
    /// # Errors
    /// If the limit on open files is reached.
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
