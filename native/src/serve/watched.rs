//! A byte stream that reports what passes through it, and gives up a client that accepts nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::watch::{Patience, Watch};

/// What the parts of a connection share about its state.
pub(super) struct Vitals {
    state: Mutex<State>,
}

struct State {
    watch: Watch,
    /// Whether everything written has reached the system.
    is_flushed: bool,
    /// Whether it was given up because its client accepts nothing.
    is_stuck: bool,
    /// Whether the latest request was answered before its whole body had arrived.
    is_cut_short: bool,
}

impl Vitals {
    pub(super) fn new(patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                watch: Watch::new(Instant::now(), patience),
                is_flushed: true,
                is_stuck: false,
                is_cut_short: false,
            }),
        })
    }

    pub(super) fn watch<T>(&self, look: impl FnOnce(&mut Watch) -> T) -> T {
        look(&mut self.lock().watch)
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.lock().is_flushed
    }

    /// Sets whether the latest request was answered before its whole body had arrived; `false` when it begins.
    pub(super) fn cut_short(&self, is_cut_short: bool) {
        self.lock().is_cut_short = is_cut_short;
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.lock().is_cut_short
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.lock().is_stuck
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A byte stream below HTTP.
pub(crate) struct Watched<S> {
    inner: S,
    vitals: Arc<Vitals>,
    /// Whether incoming bytes belong to a request. With HTTP/2, they may be anything.
    tells_bytes: bool,
    write_timeout: Duration,
    /// The time left, while the client accepts nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) const fn new(
        inner: S,
        vitals: Arc<Vitals>,
        write_timeout: Duration,
        tells_bytes: bool,
    ) -> Self {
        Self {
            inner,
            vitals,
            tells_bytes,
            write_timeout,
            stalled: None,
        }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    /// Passes on the result of writing, or an error if nothing could be written for too long.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let after = self.write_timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        if stalled.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.vitals.lock().is_stuck = true;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut own.inner).poll_read(context, buffer);
        if own.tells_bytes && buffer.filled().len() > before {
            own.vitals.watch(|watch| watch.handle_bytes(Instant::now()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        own.vitals.lock().is_flushed = false;
        let written = Pin::new(&mut own.inner).poll_write(context, bytes);
        own.written(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        own.vitals.lock().is_flushed = false;
        let written = Pin::new(&mut own.inner).poll_write_vectored(context, slices);
        own.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let flushed = Pin::new(&mut own.inner).poll_flush(context);
        if flushed.is_ready() {
            own.vitals.lock().is_flushed = true;
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}
