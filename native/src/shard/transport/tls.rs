//! TLS over a socket that doesn't wait, after the handshake.

use std::io::{self, ErrorKind, Read, Write};

use rustls::ServerConnection;

use super::Transport;
#[cfg(unix)]
use crate::lingering::Lingering;

/// How much of what it has encrypted waits here for its socket, in bytes: a record. The rest waits where it can be conflated.
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

    /// What it speaks TLS over.
    pub(super) const fn below(&mut self) -> &mut Transport {
        &mut self.below
    }

    #[cfg(unix)]
    pub(super) fn lingering(&self) -> io::Result<Lingering> {
        self.below.lingering()
    }

    /// As a socket's: nothing is left to read where it says `WouldBlock`, and 0 bytes are the end, whether the client has
    /// announced it or not: what is said over this has an end of its own.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.session.read_tls(&mut Below(&mut self.below))?;
            let taken = self.session.process_new_packets();
            // It may answer, and if only by saying what is wrong.
            let answered = self.flush();
            taken.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if let Err(error) = answered
                && error.kind() != ErrorKind::WouldBlock
            {
                return Err(error);
            }
        }
    }

    /// Encrypts bytes once its socket has what was encrypted before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let taken = self.session.writer().write(bytes)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(taken),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut Below(&mut self.below))?;
        }
        Ok(())
    }
}

impl Drop for Tls {
    /// Clients tell an end that was meant from one that somebody else has brought about.
    fn drop(&mut self) {
        self.session.send_close_notify();
        // A socket that is gone, or takes no more, isn't waited for.
        let _ = self.flush();
    }
}

/// A transport as TLS wants what it reads from and writes to.
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
