//! A way to a server that can be broken off, or blocked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};

/// What waits on the way at most, in bytes, beside what the server's own end of a connection holds.
const WAY_BYTES: u32 = 64 * 1024;

/// Passes connections on until it is told to break or to block them.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    breaks: Notify,
    is_blocked: watch::Sender<bool>,
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

    /// Breaks what is connected now.
    pub(crate) fn break_connections(&self) {
        self.shared.breaks.notify_waiters();
    }

    /// Passes nothing on for a while, or goes on: to the server it is a client that does not read.
    pub(crate) fn block(&self, is_blocked: bool) {
        self.shared.is_blocked.send_replace(is_blocked);
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
    let mut blocked = shared.is_blocked.subscribe();
    let mut is_broken = std::pin::pin!(shared.breaks.notified());
    let mut copying = std::pin::pin!(tokio::io::copy_bidirectional(&mut client, &mut server));
    loop {
        let is_blocked = *blocked.borrow_and_update();
        tokio::select! {
            _ = &mut copying, if !is_blocked => return,
            () = &mut is_broken => return,
            _ = blocked.changed() => {}
        }
    }
}
