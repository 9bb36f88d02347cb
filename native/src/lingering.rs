//! Closes a connection whose client may still be sending.
//!
//! A socket that is closed with unread input, or that receives more afterwards, answers with a reset. That discards what the client has not
//! read yet, which is the last thing it was told. So the server first shuts down its own direction, and reads on until the client has
//! closed the other one, too, or its time is up (RFC 9112, 9.6).
//!
//! A client that reads slowly may not have accepted that last thing yet. It gets the same time for it first.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

/// How long to wait for a silent client, and for a client in total.
const SILENT_MAX: Duration = Duration::from_secs(2);
const TIME_MAX: Duration = Duration::from_secs(10);

/// How long a client may take to accept what is left to write.
const WRITING_MAX: Duration = Duration::from_secs(10);

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

    /// Writes what is left for the client, and shuts down the sending direction. Then discards what the client sends, and closes the
    /// socket once the client has closed its side or its time is up.
    pub(crate) async fn see_off(self, left: Vec<Bytes>) {
        match self {
            Self::Tcp(socket) => see_off(tokio::net::TcpStream::from_std(socket), left).await,
            Self::Unix(socket) => see_off(tokio::net::UnixStream::from_std(socket), left).await,
        }
    }
}

async fn see_off(socket: io::Result<impl AsyncRead + AsyncWrite>, left: Vec<Bytes>) {
    let Ok(socket) = socket else {
        return;
    };
    let (mut reading, mut writing) = tokio::io::split(socket);
    let mut bytes_left = BYTES_MAX;
    let written = tokio::select! {
        written = timeout(WRITING_MAX, write(&mut writing, left)) => matches!(written, Ok(Ok(()))),
        // A client may read nothing until it has sent everything.
        () = discard_always(&mut reading, &mut bytes_left) => false,
    };
    if written {
        discard_for_a_while(&mut reading, bytes_left).await;
    }
}

async fn write(writing: &mut (impl AsyncWrite + Unpin), left: Vec<Bytes>) -> io::Result<()> {
    for piece in left {
        writing.write_all(&piece).await?;
    }
    // This only fails if the client is gone.
    let _ = writing.shutdown().await;
    Ok(())
}

/// Discards what the client sends. Returns once the connection is broken, or there are no bytes left that it may send. A client that has
/// only ended its own direction may still be reading.
async fn discard_always(reading: &mut (impl AsyncRead + Unpin), bytes_left: &mut usize) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while *bytes_left > 0 {
        match reading.read(&mut buffer).await {
            Ok(0) => std::future::pending().await,
            Ok(bytes) => *bytes_left = bytes_left.saturating_sub(bytes),
            Err(_) => return,
        }
    }
}

/// Discards what the client sends, until it has closed its side or its time is up.
async fn discard_for_a_while(reading: &mut (impl AsyncRead + Unpin), mut bytes_left: usize) {
    let until = Instant::now() + TIME_MAX;
    let mut buffer = vec![0; BUFFER_BYTES];
    while bytes_left > 0 {
        let silent = (Instant::now() + SILENT_MAX).min(until);
        match timeout_at(silent, reading.read(&mut buffer)).await {
            Ok(Ok(bytes @ 1..)) => bytes_left = bytes_left.saturating_sub(bytes),
            Ok(Ok(0) | Err(_)) | Err(_) => return,
        }
    }
}
