//! TLS over a non-blocking socket, after the handshake.

use std::io::{self, ErrorKind, Read, Write};

#[cfg(unix)]
use bytes::Bytes;
use rustls::ServerConnection;

use super::Transport;
#[cfg(unix)]
use crate::lingering::Lingering;

/// How many encrypted bytes may wait here for the socket: one record. The rest waits where it can be conflated.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// A connection in TLS.
pub(crate) struct Tls {
    below: Transport,
    session: ServerConnection,
}

impl Tls {
    pub(super) fn new(below: Transport, mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(WAITING_BYTES_MAX));
        Self { below, session }
    }

    /// The transport below TLS.
    pub(super) const fn below(&mut self) -> &mut Transport {
        &mut self.below
    }

    #[cfg(unix)]
    pub(super) fn lingering(&self) -> io::Result<Lingering> {
        self.below.lingering()
    }

    /// Reads like a socket: `WouldBlock` means that nothing is left to read, and 0 bytes are the end. It doesn't matter whether the client
    /// has announced the end, because the protocol above TLS has an end of its own.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.session.read_tls(&mut Below(&mut self.below))?;
            let taken = self.session.process_new_packets();
            // The session may have an answer, if only an alert about what is wrong.
            let answered = self.flush();
            taken.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if let Err(error) = answered
                && error.kind() != ErrorKind::WouldBlock
            {
                return Err(error);
            }
        }
    }

    /// Encrypts bytes, once the socket has accepted what was encrypted before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let taken = self.session.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(taken),
        }
    }

    /// Encrypts the last pieces and the close notification, and returns them with what the socket has yet to accept.
    #[cfg(unix)]
    pub(super) fn conclude(&mut self, pieces: &[Bytes]) -> Bytes {
        // Writing to memory fails nowhere, and nothing has to wait there.
        self.session.set_buffer_limit(None);
        for piece in pieces {
            let _ = self.session.writer().write_all(piece);
        }
        self.session.send_close_notify();
        let mut encrypted = Vec::new();
        while self.session.wants_write() {
            if self.session.write_tls(&mut encrypted).is_err() {
                break;
            }
        }
        encrypted.into()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut Below(&mut self.below))?;
        }
        Ok(())
    }
}

impl Drop for Tls {
    /// Announces the end, so that clients can tell it from a connection that somebody else has cut.
    fn drop(&mut self) {
        self.session.send_close_notify();
        // Don't wait for a socket that is gone or accepts no more.
        let _ = self.flush();
    }
}

/// Adapts a transport to what TLS reads from and writes to.
struct Below<'a>(&'a mut Transport);

impl Read for Below<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
