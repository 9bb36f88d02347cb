//! One server for all tests of a process.

use std::ops::Deref;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

/// A server that is started for the first test that needs it and stopped when no test does, so that nothing is left in
/// the end. Each test uses a part of its own, such as a schema or a namespace.
///
/// The server is started by a thread of its own. A process that dies with its parent dies with the thread that started
/// it, and a test's thread may end while others still use the server.
pub struct Shared<S> {
    running: Mutex<Weak<Running<S>>>,
}

/// A server that runs as long as this is held.
pub struct Running<S> {
    server: Option<Arc<S>>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl<S: Send + Sync + 'static> Shared<S> {
    /// A server that is not started yet.
    #[allow(clippy::new_without_default, reason = "it is made in a static")]
    pub const fn new() -> Self {
        Self {
            running: Mutex::new(Weak::new()),
        }
    }

    /// The server. If it does not run, `start` starts it.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run(&self, start: fn() -> S) -> Arc<Running<S>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Running::start(start));
            *running = Arc::downgrade(&started);
            started
        })
    }
}

impl<S: Send + Sync + 'static> Running<S> {
    fn start(start: fn() -> S) -> Self {
        let (started, is_started) = channel();
        let (over, is_over) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let server = Arc::new(start());
            // If the receiver has given up, the server ends at once.
            let _ = started.send(Arc::clone(&server));
            drop(started);
            let _ = is_over.recv();
        });
        Self {
            server: Some(is_started.recv().expect("the server starts")),
            thread: Some((over, thread)),
        }
    }
}

impl<S> Deref for Running<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.server.as_ref().expect("held until this is dropped")
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        // The thread now holds the last reference: it stops the server, which is waited for.
        self.server = None;
        if let Some((over, thread)) = self.thread.take() {
            drop(over);
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static STARTED: AtomicUsize = AtomicUsize::new(0);

    struct Server;

    impl Server {
        fn start() -> Self {
            RUNNING.fetch_add(1, Ordering::SeqCst);
            STARTED.fetch_add(1, Ordering::SeqCst);
            Self
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            RUNNING.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_server_runs_while_somebody_holds_it_and_starts_again() {
        static SHARED: Shared<Server> = Shared::new();
        for round in 1..3 {
            let first = SHARED.run(Server::start);
            let second = SHARED.run(Server::start);
            drop(first);
            assert_eq!(RUNNING.load(Ordering::SeqCst), 1);
            drop(second);
            assert_eq!(RUNNING.load(Ordering::SeqCst), 0);
            assert_eq!(STARTED.load(Ordering::SeqCst), round);
        }
    }
}
