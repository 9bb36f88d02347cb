//! A proxy to a server that can be cut or blocked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};

/// The most bytes that wait in the proxy, besides what the server's own end of a connection holds.
const WAY_BYTES: u32 = 64 * 1024;

/// What is not passed on.
#[derive(Clone, Copy, Default)]
struct Blocked {
    to_server: bool,
    to_client: bool,
}

/// Passes connections on until it is told to break or to block them.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    breaks: Notify,
    blocked: watch::Sender<Blocked>,
    connections: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Breaks all current connections.
    pub(crate) fn break_connections(&self) {
        self.shared.breaks.notify_waiters();
    }

    /// Stops or resumes passing anything on. To the server, the client then doesn't read.
    pub(crate) fn block(&self, is_blocked: bool) {
        self.shared.blocked.send_replace(Blocked {
            to_server: is_blocked,
            to_client: is_blocked,
        });
    }

    /// Passes nothing on to the server, but everything to the client.
    pub(crate) fn block_to_server(&self) {
        self.shared.blocked.send_replace(Blocked {
            to_server: true,
            to_client: false,
        });
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(WAY_BYTES).unwrap();
        let server = socket.connect(target.parse().unwrap()).await.unwrap();
        tokio::spawn(pass_on(client, server, Arc::clone(&shared)));
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, shared: Arc<Shared>) {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let blocked = || shared.blocked.subscribe();
    let both = futures_util::future::try_join(
        pass(from_client, to_server, blocked(), |blocked| {
            blocked.to_server
        }),
        pass(from_server, to_client, blocked(), |blocked| {
            blocked.to_client
        }),
    );
    tokio::select! {
        // A connection that breaks is over, whoever broke it.
        _ = both => {}
        () = shared.breaks.notified() => {}
    }
}

/// Passes one direction on, unless it is blocked.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut blocked: watch::Receiver<Blocked>,
    is_blocked: impl Fn(Blocked) -> bool,
) -> io::Result<()> {
    let mut copying = std::pin::pin!(async move {
        tokio::io::copy(&mut from, &mut to).await?;
        to.shutdown().await
    });
    loop {
        let is_blocked = is_blocked(*blocked.borrow_and_update());
        tokio::select! {
            copied = &mut copying, if !is_blocked => return copied,
            _ = blocked.changed() => {}
        }
    }
}
