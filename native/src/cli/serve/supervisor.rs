//! Reports the server's state to systemd: datagrams to the socket that it names (`sd_notify(3)`). Without a socket, nothing is reported.

use std::time::Duration;

use tidegate::Hub;

/// How long a message may wait for room in the supervisor's queue: a supervisor that hangs must not hang the server.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(1);

/// The supervisor that has started the server, such as systemd.
pub(super) struct Supervisor {
    #[cfg(unix)]
    socket: Option<tokio::net::UnixDatagram>,
    /// How often it expects a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that the environment names.
    pub(super) fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self {
            #[cfg(unix)]
            socket: std::env::var_os("NOTIFY_SOCKET").and_then(|name| match connected(&name) {
                Ok(socket) => Some(socket),
                Err(error) => {
                    tracing::warn!(%error, "systemd cannot be notified of the server's state");
                    None
                }
            }),
            watchdog: watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID")),
        }
    }

    /// Reports that the server is listening.
    pub(super) async fn ready(&self) {
        self.notify("READY=1").await;
    }

    /// Reports that the server is stopping.
    pub(super) async fn stopping(&self) {
        self.notify("STOPPING=1").await;
    }

    /// Sends signs of life, twice as often as expected, for as long as all shards of the hub answer.
    pub(super) async fn watch(&self, hub: &Hub) {
        let Some(every) = self.watchdog else {
            return std::future::pending().await;
        };
        let mut interval = tokio::time::interval(every / 2);
        loop {
            interval.tick().await;
            if hub.counts().await.is_err() {
                // The hub is stopping, which may take a while.
                return std::future::pending().await;
            }
            self.notify("WATCHDOG=1").await;
        }
    }

    #[cfg(unix)]
    async fn notify(&self, state: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        // Wait for room: the queue is short, and each message is sent only once.
        let told = tokio::time::timeout(PATIENCE, socket.send(state.as_bytes())).await;
        if let Err(error) = told.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            tracing::debug!(%error, state, "systemd was not notified");
        }
    }

    #[cfg(not(unix))]
    async fn notify(&self, _state: &str) {}
}

/// How often a sign of life is expected of this process.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_meant = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let micros: u64 = micros?.parse().ok()?;
    (is_meant && micros > 1).then_some(Duration::from_micros(micros))
}

#[cfg(unix)]
fn connected(name: &std::ffi::OsStr) -> std::io::Result<tokio::net::UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::ffi::OsStrExt as _;
        // An abstract socket, which has no file.
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.connect_addr(&address)?;
            return tokio::net::UnixDatagram::from_std(socket);
        }
    }
    socket.connect(name)?;
    tokio::net::UnixDatagram::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_given_to_whom_they_are_asked_of() {
        let of = |micros: &str, pid: Option<String>| watchdog(Some(micros.to_owned()), pid);
        let own = std::process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(of("1000000", None), second);
        assert_eq!(of("1000000", Some(own)), second);
        assert_eq!(of("1000000", Some("1".to_owned())), None);
        assert_eq!(of("soon", None), None);
        assert_eq!(of("0", None), None);
        assert_eq!(watchdog(None, None), None);
    }
}
