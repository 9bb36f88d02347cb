//! Ports for servers that restart at the same place.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// The range of ports for servers: below the ephemeral ports of outgoing connections, and above 10080, the last port
/// that browsers and `fetch` refuse (the Fetch standard's bad ports).
const PORT_MIN: u32 = 10_100;
const PORTS: u32 = 11_900;

/// Ports that nobody listens on. Each is given out only once in this process, so that a server that was killed finds
/// its port free when it restarts. Each process begins at another port.
pub(super) fn free_ports() -> impl Iterator<Item = u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(2_654_435_761) >> 16;
    std::iter::repeat_with(move || start + GIVEN.fetch_add(1, Ordering::Relaxed))
        .take(PORTS as usize)
        .filter_map(|number| u16::try_from(PORT_MIN + number % PORTS).ok())
        .filter(|port| is_free(*port))
}

/// A port that nobody listens on.
///
/// # Panics
/// If there is none.
pub(super) fn free_port() -> u16 {
    free_ports().next().expect("a free port")
}

/// Whether nobody listens on a port.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
