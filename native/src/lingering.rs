//! Closes a connection whose client may still be sending.
//!
//! A socket that is closed with unread input, or that receives more afterwards, answers with a reset. That discards what the client has not
//! read yet, which is the last thing it was told. So the server first shuts down its own direction, and reads on until the client has
//! closed the other one, too, or its time is up (RFC 9112, 9.6).

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};

/// How long to wait for a silent client, and for a client in total.
const SILENT_MAX: Duration = Duration::from_secs(2);
const TIME_MAX: Duration = Duration::from_secs(10);

/// The most bytes that are read and discarded.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The bytes that one read takes at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// A socket that is about to be closed. This handle keeps it open after the original one is dropped.
pub(crate) enum Lingering {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Lingering {
    /// Duplicates the handle of a non-blocking TCP socket.
    ///
    /// # Errors
    /// If the limit on open files is reached.
    pub(crate) fn tcp(socket: &impl AsFd) -> io::Result<Self> {
        Ok(Self::Tcp(socket.as_fd().try_clone_to_owned()?.into()))
    }

    /// Duplicates the handle of a non-blocking Unix socket.
    ///
    /// # Errors
    /// If the limit on open files is reached.
    pub(crate) fn unix(socket: &impl AsFd) -> io::Result<Self> {
        Ok(Self::Unix(socket.as_fd().try_clone_to_owned()?.into()))
    }

    /// Shuts down the sending direction. The client still gets what was written before.
    pub(crate) fn end(&self) {
        // This only fails if the client is gone.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
    }

    /// Discards what the client sends, and closes the socket once the client has closed its side or its time is up.
    pub(crate) async fn read_out(self) {
        match self {
            Self::Tcp(socket) => discard(tokio::net::TcpStream::from_std(socket)).await,
            Self::Unix(socket) => discard(tokio::net::UnixStream::from_std(socket)).await,
        }
    }
}

async fn discard(socket: io::Result<impl AsyncRead + Unpin>) {
    let Ok(mut socket) = socket else {
        return;
    };
    let until = Instant::now() + TIME_MAX;
    let (mut left, mut buffer) = (BYTES_MAX, vec![0; BUFFER_BYTES]);
    while left > 0 {
        let silent = (Instant::now() + SILENT_MAX).min(until);
        match timeout_at(silent, socket.read(&mut buffer)).await {
            Ok(Ok(bytes @ 1..)) => left = left.saturating_sub(bytes),
            Ok(Ok(0) | Err(_)) | Err(_) => return,
        }
    }
}
