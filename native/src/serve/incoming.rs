//! Accepts connections, one after the other, and never faster than there is room for them.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch as channel};

use super::connection::{self, ConnectionContext};
use super::stream::{Peer, Stream};
use super::tally::Counted;
use super::{Entrance, Phase, Shared};

/// The shortest pause after a failure to accept, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long accepting must not fail before the log says that the trouble is over. At the limit of open files, accepting succeeds and fails
/// in turns, which is one trouble and not many.
const CALM: Duration = Duration::from_secs(10);

/// How often the files of a certificate are checked.
#[cfg(feature = "tls")]
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The most connections that linger after they were turned away. They are not counted as connections.
const TURNED_AWAY_MAX: usize = 256;

/// The answer to a client when the number of connections is at its limit.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\n\
content-type: application/json\r\ncontent-length: 102\r\n\r\n\
{\"error\":{\"code\":\"too_many_connections\",\"message\":\"the server has reached its limit of connections\"}}\n";

impl Entrance {
    /// Accepts and serves connections, until the future is dropped.
    pub(super) async fn serve(self, shared: &Arc<Shared>, phase: &channel::Sender<Phase>) {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            tokio::select! {
                () = self.accept(shared, phase) => {}
                () = keep_fresh(tls) => {}
            }
            return;
        }
        self.accept(shared, phase).await;
    }

    async fn accept(&self, shared: &Arc<Shared>, phase: &channel::Sender<Phase>) {
        let mut trouble = Trouble::default();
        let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
        loop {
            match self.listener.accept(shared.config.write_timeout).await {
                Ok((stream, peer)) => {
                    if trouble.accepted(Instant::now()) {
                        tracing::info!(listener = %self.listener, "connections are accepted again");
                    }
                    self.admit(stream, peer, shared, phase, &turned_away);
                }
                Err(error) if is_of_the_client(&error) => shared.tally.count_accept_error(),
                Err(error) => {
                    shared.tally.count_accept_error();
                    let (pause, is_first) = trouble.failed(Instant::now());
                    if is_first {
                        tracing::error!(listener = %self.listener, %error, "no connection can be accepted; retrying");
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: Stream,
        peer: Peer,
        shared: &Arc<Shared>,
        phase: &channel::Sender<Phase>,
        turned_away: &Arc<Semaphore>,
    ) {
        let counted = match shared.tally.enter(peer, &shared.config) {
            Ok(counted) => counted,
            Err(refusal) => {
                tracing::debug!(?peer, %refusal, "a connection is refused");
                if !self.is_encrypted() {
                    turn_away(stream, phase, turned_away);
                }
                return;
            }
        };
        let context = ConnectionContext {
            shared: Arc::clone(shared),
            peer,
            phase: phase.subscribe(),
        };
        self.spawn(stream, context, counted);
    }

    #[cfg(feature = "tls")]
    const fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    const fn is_encrypted(&self) -> bool {
        false
    }

    fn spawn(&self, stream: Stream, context: ConnectionContext, counted: Counted) {
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls.clone() {
            tokio::spawn(async move {
                connection::serve_tls(stream, tls, context).await;
                drop(counted);
            });
            return;
        }
        tokio::spawn(async move {
            connection::serve_http1(stream, context).await;
            drop(counted);
        });
    }
}

/// Tells a client that there is no room, and lingers until it has noticed, unless too many connections do so already. The client's request
/// may be on its way, and without lingering it would be answered with a reset.
fn turn_away(stream: Stream, phase: &channel::Sender<Phase>, turned_away: &Arc<Semaphore>) {
    stream.say(FULL);
    if let Ok(place) = Arc::clone(turned_away).try_acquire_owned() {
        let phase = phase.subscribe();
        tokio::spawn(async move {
            connection::linger(stream, phase).await;
            drop(place);
        });
    }
}

/// Whether a connection broke before it was accepted, which says nothing about the next one.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}

/// A series of failures to accept. Most are due to a lack of file descriptors, and others have to close some first.
#[derive(Default)]
struct Trouble {
    /// When the last failure was, until the series is over.
    last: Option<Instant>,
    /// The last pause, if nothing was accepted since.
    pause: Option<Duration>,
}

impl Trouble {
    /// Returns how long to wait after a failure, and whether it is the first of its series.
    fn failed(&mut self, now: Instant) -> (Duration, bool) {
        let pause = self
            .pause
            .map_or(PAUSE_MIN, |last| (2 * last).min(PAUSE_MAX));
        self.pause = Some(pause);
        (pause, self.last.replace(now).is_none())
    }

    /// Notes that a connection was accepted, and returns whether that ends a series of failures.
    fn accepted(&mut self, now: Instant) -> bool {
        self.pause = None;
        self.last
            .take_if(|last| now.duration_since(*last) >= CALM)
            .is_some()
    }
}

/// Reads a certificate again whenever its files have changed.
#[cfg(feature = "tls")]
async fn keep_fresh(tls: super::Tls) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let again = tls.clone();
        match tokio::task::spawn_blocking(move || again.reload()).await {
            Ok(Ok(true)) => tracing::info!(?tls, "the certificate was read again"),
            Ok(Ok(false)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the certificate is not replaced, and the old one stays in use");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_told_once_and_waited_out_longer_and_longer() {
        let (mut trouble, now) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.failed(now), (PAUSE_MIN, true));
        assert_eq!(trouble.failed(now), (2 * PAUSE_MIN, false));
        for _ in 0..20 {
            trouble.failed(now);
        }
        assert_eq!(trouble.failed(now), (PAUSE_MAX, false));
        assert!(trouble.accepted(now + CALM));
        assert!(!trouble.accepted(now + CALM));
        assert_eq!(trouble.failed(now + CALM), (PAUSE_MIN, true));
    }

    #[test]
    fn successes_between_failures_are_no_end() {
        let (mut trouble, mut now) = (Trouble::default(), Instant::now());
        assert!(!trouble.accepted(now));
        assert_eq!(trouble.failed(now), (PAUSE_MIN, true));
        for _ in 0..20 {
            now += CALM / 2;
            assert!(!trouble.accepted(now));
            assert_eq!(trouble.failed(now), (PAUSE_MIN, false));
        }
        assert!(trouble.accepted(now + CALM));
    }

    #[test]
    fn what_a_client_is_told_has_the_length_it_says() {
        for said in [FULL, connection::TIMED_OUT] {
            let text = std::str::from_utf8(said).expect("text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.ends_with(&format!("content-length: {}", body.len())),
                "{}",
                body.len()
            );
        }
    }
}
