//! Asks a server whether it is up.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one request may take.
const TIME_MAX: Duration = Duration::from_secs(1);

/// Whether `/healthz` answers with success.
pub(super) fn answers(address: SocketAddr) -> bool {
    ask(address).is_ok_and(|answer| is_success(&answer))
}

fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIME_MAX)?;
    stream.set_read_timeout(Some(TIME_MAX))?;
    stream.set_write_timeout(Some(TIME_MAX))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    // Only the status line matters.
    stream.take(1024).read_to_end(&mut answer)?;
    Ok(answer)
}

fn is_success(answer: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200 ") || answer.starts_with(b"HTTP/1.1 204 ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_counts_as_an_answer() {
        assert!(is_success(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!is_success(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"));
        assert!(!is_success(b""));
    }
}
