//! WebSockets that the server has closed, until their clients have noticed.

use std::collections::VecDeque;

use bytes::Bytes;
use tidegate_core::hub::ConnectionId;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::{Endpoint, EndpointKind, Shard, Socket};
use crate::lingering::Lingering;

/// The most that linger at once. They don't count as connections any more.
const LINGERERS_MAX: usize = 256;

/// The lingering ones, the oldest first. Some of them may have finished.
#[derive(Default)]
pub(super) struct Lingerers(VecDeque<AbortHandle>);

impl Lingerers {
    /// Lets a task write what is left for a socket, shut down its sending direction and wait for its client, because this thread has others
    /// to serve. If there are too many, the oldest, whose client has had the most time, is closed.
    pub(super) fn add(&mut self, runtime: &Handle, socket: Lingering, left: Vec<Bytes>) {
        if left.is_empty() {
            socket.end();
        }
        while self.0.front().is_some_and(AbortHandle::is_finished) {
            self.0.pop_front();
        }
        if self.0.len() >= LINGERERS_MAX
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        let task = runtime.spawn(socket.see_off(left));
        self.0.push_back(task.abort_handle());
    }
}

impl Shard {
    /// Forgets a connection whose client was told why it ends, and may be sending still, or has yet to accept that.
    pub(super) fn close_told(&mut self, id: ConnectionId) {
        let told = match self.endpoint(id) {
            Some(Endpoint {
                kind: EndpointKind::Socket(socket),
                ..
            }) => told(socket),
            _ => None,
        };
        // TLS sends its close notification when it is dropped, which comes before the end of the socket below it.
        self.close(id);
        self.linger(told);
    }

    /// Like `close_told`, for a connection that the shard has forgotten already.
    pub(super) fn drop_told(&mut self, mut socket: Socket) {
        let told = told(&mut socket);
        drop(socket);
        self.linger(told);
    }

    fn linger(&mut self, told: Option<(Lingering, Vec<Bytes>)>) {
        if let (Some((socket, left)), Some(runtime)) = (told, &self.runtime) {
            self.lingerers.add(runtime, socket, left);
        }
    }
}

/// A handle of the socket, and what it has not accepted yet.
fn told(socket: &mut Socket) -> Option<(Lingering, Vec<Bytes>)> {
    let lingering = socket.lingering().ok()?;
    Some((lingering, socket.take_unsent()))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn of_too_many_the_oldest_is_closed_and_no_other() {
        let mut lingerers = Lingerers::default();
        let mut clients = Vec::new();
        for _ in 0..=LINGERERS_MAX {
            let (near, far) = UnixStream::pair().expect("a pair");
            near.set_nonblocking(true).expect("a mode");
            lingerers.add(&Handle::current(), Lingering::Unix(near), Vec::new());
            clients.push(far);
        }
        let is_closed = |mut client: &UnixStream| {
            let written = client.write(b"still sending");
            written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
        };
        while !is_closed(&clients[0]) {
            tokio::task::yield_now().await;
        }
        assert!(!clients[1..].iter().any(is_closed));
    }
}
