//! A way to a server that can be broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Passes connections on until it is told to break them.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    breaks: Notify,
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

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    while let Ok((mut client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let mut server = TcpStream::connect(&target).await.unwrap();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let is_broken = shared.breaks.notified();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                () = is_broken => {}
            }
        });
    }
}
