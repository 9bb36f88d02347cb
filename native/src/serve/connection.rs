//! One connection: its handshake, its requests, and what happens when it takes too long.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::server::conn::http1;
#[cfg(feature = "tls")]
use hyper::server::conn::http2;
#[cfg(feature = "tls")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::front::{Front, Slot};
use super::stream::{Peer, Stream};
use super::tally::Cut;
use super::watch::{Overdue, Patience};
use super::watched::{Vitals, Watched};
use super::{Phase, Shared};
use crate::shard::Transport;

/// The answer to a client whose request came too late.
pub(super) const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\
content-type: application/json\r\ncontent-length: 79\r\n\r\n\
{\"error\":{\"code\":\"timeout\",\"message\":\"the head of the request came too late\"}}\n";

/// How often HTTP/2 pings a silent client, which has the write timeout to answer.
#[cfg(feature = "tls")]
const PING_EVERY: std::time::Duration = std::time::Duration::from_secs(20);

/// What a connection has besides its bytes.
pub(super) struct ConnectionContext {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) phase: watch::Receiver<Phase>,
}

/// A byte stream for HTTP/1, which can be handed to a shard afterwards.
pub(crate) trait ClientStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Converts the connection to the form that shards use.
    ///
    /// # Errors
    /// If the system doesn't release it.
    fn into_transport(self) -> io::Result<Transport>;

    /// The accepted connection under this, without TLS.
    #[cfg(unix)]
    fn below(&self) -> &Stream;
}

impl ClientStream for Stream {
    fn into_transport(self) -> io::Result<Transport> {
        Ok(match self {
            Self::Tcp(stream) => Transport::Tcp(mio::net::TcpStream::from_std(stream.into_std()?)),
            #[cfg(unix)]
            Self::Unix(stream) => {
                Transport::Unix(mio::net::UnixStream::from_std(stream.into_std()?))
            }
        })
    }

    #[cfg(unix)]
    fn below(&self) -> &Stream {
        self
    }
}

#[cfg(feature = "tls")]
impl ClientStream for TlsStream<Stream> {
    fn into_transport(self) -> io::Result<Transport> {
        let (stream, session) = self.into_inner();
        Ok(Transport::tls(stream.into_transport()?, session))
    }

    #[cfg(unix)]
    fn below(&self) -> &Stream {
        self.get_ref().0
    }
}

/// Does the TLS handshake, and serves the protocol that it has negotiated.
#[cfg(feature = "tls")]
pub(super) async fn serve_tls(stream: Stream, tls: super::Tls, context: ConnectionContext) {
    let time = context.shared.config.handshake_timeout;
    let handshake = tokio::time::timeout(time, tls.acceptor().accept(stream));
    let mut phase = context.phase.clone();
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        // A client that is still in its handshake has no request to be answered.
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
    };
    let Ok(Ok(stream)) = shaken else {
        context.shared.tally.count_cut(Cut::Tls);
        tracing::debug!(peer = ?context.peer, "a TLS handshake came to nothing");
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(stream, context).await;
    } else {
        serve_http1(stream, context).await;
    }
}

/// Serves HTTP/1.1, and HTTP/1.0 as far as that is the same.
pub(super) async fn serve_http1<S: ClientStream>(stream: S, context: ConnectionContext) {
    let ConnectionContext {
        shared,
        peer,
        mut phase,
    } = context;
    let config = &shared.config;
    let vitals = Vitals::new(patience(&shared));
    let slot = Arc::new(Slot::default());
    let front = front(&shared, peer, &vitals, Some(Arc::clone(&slot)));
    let watched = Watched::new(stream, Arc::clone(&vitals), config.write_timeout, true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Watch` enforces this instead, because it tells the head of a request from the time between two requests.
        .header_read_timeout(None)
        .max_header_size(config.head_bytes_max)
        .max_buf_size(config.head_bytes_max)
        .max_headers(config.headers_max)
        .serve_connection(TokioIo::new(watched), front)
        .with_upgrades();
    let mut deadline = Deadline::new();
    loop {
        let mut goes_on = poll_fn(|context| {
            if let Poll::Ready(result) = Pin::new(&mut connection).poll(context) {
                return Poll::Ready(Turn::Ended(result));
            }
            if is_filled(&slot) && vitals.is_flushed() {
                return Poll::Ready(Turn::HandedOver);
            }
            deadline.poll(&vitals, context).map(Turn::Overdue)
        });
        let turn = tokio::select! {
            turn = &mut goes_on => turn,
            changed = phase.changed() => Turn::phase(changed.is_ok(), &phase),
        };
        match turn {
            Turn::Ended(result) => {
                let is_cut_short = vitals.is_cut_short() || is_no_request(&result);
                shared.note_end(peer, &vitals, result);
                if is_cut_short && let Some(parts) = connection.into_parts() {
                    let stream = parts.io.into_inner().into_inner();
                    linger(stream, phase).await;
                }
                return;
            }
            Turn::HandedOver => {
                let taken = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                let parts = connection.into_parts();
                let stream = parts.map(|parts| parts.io.into_inner().into_inner());
                if let (Some(taken), Some(stream)) = (taken, stream) {
                    taken.hand(stream);
                }
                return;
            }
            Turn::Overdue(Overdue::Head) => {
                shared.tally.count_cut(Cut::Head);
                if let Some(parts) = connection.into_parts() {
                    let mut stream = parts.io.into_inner();
                    // Don't wait for a client that doesn't accept it.
                    let said = stream.write_all(TIMED_OUT);
                    let _ = tokio::time::timeout(config.write_timeout.min(SAY_MAX), said).await;
                    let _ = tokio::time::timeout(SAY_MAX, stream.shutdown()).await;
                    linger(stream.into_inner(), phase).await;
                }
                return;
            }
            Turn::Overdue(why) => return shared.note_overdue(why),
            Turn::Stop => Pin::new(&mut connection).graceful_shutdown(),
            Turn::Over => return,
        }
    }
}

/// Whether the client sent something that is not a request; more of it may follow.
fn is_no_request(result: &hyper::Result<()>) -> bool {
    let error = result.as_ref().err();
    error.is_some_and(|error| error.is_parse() || error.is_parse_too_large())
}

/// Closes a connection whose client was answered before it had sent everything, once the client has noticed. A server that is stopping
/// doesn't wait for that.
#[cfg(unix)]
pub(super) async fn linger(stream: impl ClientStream, mut phase: watch::Receiver<Phase>) {
    let Ok(lingering) = stream.below().lingering() else {
        return;
    };
    drop(stream);
    lingering.end();
    tokio::select! {
        () = lingering.see_off(Vec::new()) => {}
        _ = phase.wait_for(|phase| *phase != Phase::Serving) => {}
    }
}

#[cfg(not(unix))]
pub(super) async fn linger(stream: impl ClientStream, _phase: watch::Receiver<Phase>) {
    drop(stream);
}

/// How long sending the last bytes may take.
const SAY_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// What happened to a connection.
enum Turn {
    Ended(hyper::Result<()>),
    HandedOver,
    Overdue(Overdue),
    /// It has to end after the requests in progress.
    Stop,
    /// It has to end now.
    Over,
}

impl Turn {
    /// What a change of phase means. If nobody is left to change it, the server is gone.
    fn phase(is_there: bool, phase: &watch::Receiver<Phase>) -> Self {
        if is_there && *phase.borrow() != Phase::Over {
            Self::Stop
        } else {
            Self::Over
        }
    }
}

/// Serves HTTP/2.
#[cfg(feature = "tls")]
async fn serve_http2<S: ClientStream>(stream: S, context: ConnectionContext) {
    let ConnectionContext {
        shared,
        peer,
        mut phase,
    } = context;
    let config = &shared.config;
    let vitals = Vitals::new(patience(&shared));
    let front = front(&shared, peer, &vitals, None);
    let watched = Watched::new(stream, Arc::clone(&vitals), config.write_timeout, false);
    let head_bytes_max = u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX);
    let mut connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(head_bytes_max)
        .max_concurrent_streams(config.streams_max)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(config.write_timeout)
        .serve_connection(TokioIo::new(watched), front);
    let mut deadline = Deadline::new();
    loop {
        let mut goes_on = poll_fn(|context| {
            if let Poll::Ready(result) = Pin::new(&mut connection).poll(context) {
                return Poll::Ready(Turn::Ended(result));
            }
            deadline.poll(&vitals, context).map(Turn::Overdue)
        });
        let turn = tokio::select! {
            turn = &mut goes_on => turn,
            changed = phase.changed() => Turn::phase(changed.is_ok(), &phase),
        };
        match turn {
            Turn::Ended(result) => return shared.note_end(peer, &vitals, result),
            Turn::Overdue(why) => return shared.note_overdue(why),
            Turn::HandedOver => {}
            Turn::Stop => Pin::new(&mut connection).graceful_shutdown(),
            Turn::Over => return,
        }
    }
}

fn patience(shared: &Shared) -> Patience {
    Patience {
        head: shared.config.head_timeout,
        idle: shared.config.idle_timeout,
    }
}

fn front(shared: &Shared, peer: Peer, vitals: &Arc<Vitals>, slot: Option<Arc<Slot>>) -> Front {
    Front {
        app: TowerToHyperService::new(shared.app.clone()),
        tally: Arc::clone(&shared.tally),
        peer,
        body_timeout: shared.config.body_timeout,
        vitals: Arc::clone(vitals),
        slot,
    }
}

fn is_filled<T>(slot: &Mutex<Option<T>>) -> bool {
    slot.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_some()
}

/// A timer for the deadline of a watch, which changes while this waits.
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    const fn new() -> Self {
        Self(None)
    }

    fn poll(&mut self, vitals: &Vitals, context: &mut Context<'_>) -> Poll<Overdue> {
        let Some((at, why)) = vitals.watch(|watch| watch.poll_timeout()) else {
            return Poll::Pending;
        };
        if at <= Instant::now() {
            return Poll::Ready(why);
        }
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context).map(|()| why)
    }
}

/// Whether the system closed a connection because its client didn't acknowledge, or take, what it was sent.
fn is_given_up(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|error| {
        let error = error.downcast_ref::<std::io::Error>();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
    })
}

impl Shared {
    /// Counts a connection that has ended, in order or by a fault of its client.
    fn note_end(&self, peer: Peer, vitals: &Vitals, result: hyper::Result<()>) {
        let Err(error) = result else {
            return;
        };
        tracing::debug!(?peer, %error, "a connection broke");
        if vitals.is_stuck() || is_given_up(&error) {
            self.tally.count_cut(Cut::Write);
        } else if error.is_parse_too_large() {
            self.tally.count_cut(Cut::HeadTooLarge);
        } else if error.is_parse() {
            self.tally.count_cut(Cut::Malformed);
        }
    }

    /// Counts a connection that is closed because it was overdue.
    fn note_overdue(&self, why: Overdue) {
        match why {
            Overdue::Silent => self.tally.count_cut(Cut::Silent),
            Overdue::Head => self.tally.count_cut(Cut::Head),
            Overdue::Idle => self.tally.count_cut(Cut::Idle),
        }
    }
}
