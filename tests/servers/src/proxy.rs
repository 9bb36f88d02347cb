//! A connection to a server that the test can break: a TCP proxy in the test's own process.
//!
//! It simulates network faults: [`Proxy::cut`] (both ends learn of it), [`Proxy::cut_after`] (in the middle of a
//! message), [`Proxy::stall`] (nothing passes, and nobody learns of it), [`Proxy::refuse`] (new connections are
//! rejected), and [`Proxy::heal`].

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The most bytes that are read from one side before they are written to the other.
const BUFFER_BYTES: usize = 16 * 1024;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From clients to the server.
    Up,
    /// From the server to clients.
    Down,
}

/// The current condition of the link.
#[derive(Clone, Debug, Default)]
struct Condition {
    /// Rises with every cut: a connection ends with the era in which it was made.
    era: u64,
    is_stalled: bool,
    is_refusing: bool,
    /// The direction and the number of bytes after which the link is cut.
    cut_after: Option<(Way, usize)>,
    /// The number of open connections, by the era in which they were made.
    standing: BTreeMap<u64, usize>,
    /// The number of attempts to connect.
    attempts: usize,
}

impl Condition {
    /// Whether no cut is pending, and all connections of earlier eras are gone.
    fn is_settled(&self) -> bool {
        self.cut_after.is_none() && self.standing.keys().all(|era| *era == self.era)
    }
}

/// A TCP proxy to one server. It and its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    condition: Arc<watch::Sender<Condition>>,
    _acceptor: JoinSet<()>,
}

impl Proxy {
    /// A proxy to `server`, on a free port of loopback.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let condition = Arc::new(watch::Sender::new(Condition::default()));
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, server, Arc::clone(&condition)));
        Self {
            address,
            condition,
            _acceptor: acceptor,
        }
    }

    /// Where to connect to instead of the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.condition.borrow().standing.values().sum()
    }

    /// The number of attempts to connect, including refused ones.
    pub fn attempts(&self) -> usize {
        self.condition.borrow().attempts
    }

    /// Waits until there have been more than `attempts` attempts to connect.
    pub async fn asked_again(&self, attempts: usize) {
        self.wait_for(|condition| condition.attempts > attempts)
            .await;
    }

    /// Breaks all connections, and waits until they are gone. New ones are accepted.
    pub async fn cut(&self) {
        self.condition.send_modify(|condition| condition.era += 1);
        self.is_cut().await;
    }

    /// Breaks all connections once they have carried this many more bytes, together, in that direction.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        let cut_after = Some((way, bytes));
        self.condition
            .send_modify(|condition| condition.cut_after = cut_after);
    }

    /// Waits until the pending cut has happened.
    pub async fn is_cut(&self) {
        self.wait_for(Condition::is_settled).await;
    }

    /// From now on, nothing passes. Connections stay open, and new ones are accepted, but stay silent.
    pub fn stall(&self) {
        self.condition
            .send_modify(|condition| condition.is_stalled = true);
    }

    /// From now on, new connections are broken at once. Existing ones stay.
    pub fn refuse(&self) {
        self.condition
            .send_modify(|condition| condition.is_refusing = true);
    }

    /// From now on, everything passes, including what was held back.
    pub fn heal(&self) {
        self.condition.send_modify(|condition| {
            condition.is_stalled = false;
            condition.is_refusing = false;
            condition.cut_after = None;
        });
    }

    async fn wait_for(&self, is_so: impl FnMut(&Condition) -> bool) {
        let mut condition = self.condition.subscribe();
        // The sender is ours, and stays.
        let _ = condition.wait_for(is_so).await;
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    condition: Arc<watch::Sender<Condition>>,
) {
    let mut links = JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = links.join_next() => continue,
        };
        // The connection broke before it was accepted.
        let Ok((client, _)) = client else { continue };
        let mut is_refused = false;
        let mut era = 0;
        condition.send_modify(|condition| {
            condition.attempts += 1;
            (is_refused, era) = (condition.is_refusing, condition.era);
            if !is_refused {
                *condition.standing.entry(era).or_default() += 1;
            }
        });
        if is_refused {
            reset(&client);
        } else {
            let condition = Arc::clone(&condition);
            let standing = Standing { condition, era };
            links.spawn(async move { standing.carry(client, server).await });
        }
    }
}

/// Counts a connection as open until this is dropped.
struct Standing {
    condition: Arc<watch::Sender<Condition>>,
    era: u64,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.condition.send_modify(|condition| {
            let standing = condition.standing.entry(self.era).or_default();
            *standing = standing.saturating_sub(1);
            condition.standing.retain(|_, count| *count > 0);
        });
    }
}

impl Standing {
    /// Carries bytes in both directions until either end closes, or the connection's era is over.
    async fn carry(self, client: TcpStream, server: SocketAddr) {
        tokio::select! {
            () = self.wait_for(|condition| condition.era != self.era) => {}
            // However it ended, it has ended in both directions.
            _ = self.carry_until_closed(client, server) => {}
        }
    }

    async fn carry_until_closed(&self, client: TcpStream, server: SocketAddr) -> io::Result<()> {
        self.is_passing().await;
        let server = TcpStream::connect(server).await?;
        // Small messages must not wait for the acknowledgement of earlier ones.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            self.carry_one_way(Way::Up, from_client, to_server),
            self.carry_one_way(Way::Down, from_server, to_client),
        )?;
        Ok(())
    }

    /// Carries bytes in one direction, and their end.
    async fn carry_one_way(
        &self,
        way: Way,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let read = from.read(&mut buffer).await?;
            self.is_passing().await;
            if read == 0 {
                return to.shutdown().await;
            }
            let (allowed, is_last) = self.allow(way, read);
            to.write_all(&buffer[..allowed]).await?;
            if is_last {
                self.end_era();
                return Ok(());
            }
        }
    }

    /// Waits while the link is stalled.
    async fn is_passing(&self) {
        self.wait_for(|condition| !condition.is_stalled).await;
    }

    async fn wait_for(&self, is_so: impl FnMut(&Condition) -> bool) {
        let mut condition = self.condition.subscribe();
        // The sender is ours, and stays.
        let _ = condition.wait_for(is_so).await;
    }

    /// How many of these bytes may pass, and whether the link is cut after them.
    fn allow(&self, way: Way, bytes: usize) -> (usize, bool) {
        let mut allowed = (bytes, false);
        self.condition.send_if_modified(|condition| {
            if let Some((cut, left)) = &mut condition.cut_after
                && *cut == way
            {
                allowed = (bytes.min(*left), *left <= bytes);
                *left -= allowed.0;
            }
            // Nobody waits for this change.
            false
        });
        allowed
    }

    /// Cuts this connection and all others of its era, unless that has already been done.
    fn end_era(&self) {
        self.condition.send_modify(|condition| {
            if condition.era == self.era {
                condition.era += 1;
                condition.cut_after = None;
            }
        });
    }
}

/// Makes closing a connection reset at the other end, rather than a regular end.
fn reset(stream: &TcpStream) {
    // This fails if the connection is already broken, which is fine.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests;
