//! The end of a connection whose client may be sending still.
//!
//! A socket that is closed with something unread, or that something reaches afterwards, answers by a reset, and a client that is
//! reset loses what it has not read: what it was told last. So the server ends its own direction first, and reads on, until its
//! client has ended the other one, too, or had its time (RFC 9112, 9.6).

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};

/// How long a client is waited for that sends nothing, and how long in all.
const SILENT_MAX: Duration = Duration::from_secs(2);
const TIME_MAX: Duration = Duration::from_secs(10);

/// How much is read that nobody wants, in bytes.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much of that at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// A socket that is about to be closed. It stays open with this, whatever becomes of the handle that there was.
pub(crate) enum Lingering {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Lingering {
    /// Another handle of a TCP socket that doesn't wait.
    ///
    /// # Errors
    /// When there are as many open files as there may be.
    pub(crate) fn tcp(socket: &impl AsFd) -> io::Result<Self> {
        Ok(Self::Tcp(socket.as_fd().try_clone_to_owned()?.into()))
    }

    /// The same of a Unix socket.
    ///
    /// # Errors
    /// When there are as many open files as there may be.
    pub(crate) fn unix(socket: &impl AsFd) -> io::Result<Self> {
        Ok(Self::Unix(socket.as_fd().try_clone_to_owned()?.into()))
    }

    /// Tells the client that nothing further comes. What was written reaches it before.
    pub(crate) fn end(&self) {
        // One that is gone need not be told.
        let _ = match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        };
    }

    /// Reads what the client sends, and closes the socket when it has ended, or had its time.
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
