//! What a connection is doing, and how long it may take.

use std::time::Duration;

use tokio::time::Instant;

/// How long each part may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request.
    pub(super) head: Duration,
    /// From one request to the next.
    pub(super) idle: Duration,
}

/// Why a connection has to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing has arrived at all.
    Silent,
    /// A request's head has begun to arrive, and is not complete.
    Head,
    /// No further request has arrived.
    Idle,
}

/// What one connection is doing.
///
/// ```text
///  New ──bytes──▶ Head ──request──▶ Busy ──last answer given──▶ Idle ──bytes──▶ Head
///   └──────────────── request ───────▲ ▲───────── request ───────┘
/// ```
///
/// `handle_bytes`, `handle_request` and `handle_answered` are its inputs. `poll_timeout` says what is due, and when.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Patience,
    state: State,
}

#[derive(Debug)]
enum State {
    New { since: Instant },
    Head { since: Instant },
    Busy { requests: usize },
    Idle { since: Instant },
}

impl Watch {
    /// A connection that begins now.
    pub(super) const fn new(now: Instant, patience: Patience) -> Self {
        Self {
            patience,
            state: State::New { since: now },
        }
    }

    /// The client sent something.
    pub(super) const fn handle_bytes(&mut self, now: Instant) {
        match self.state {
            State::New { since } => self.state = State::Head { since },
            State::Idle { .. } => self.state = State::Head { since: now },
            State::Head { .. } | State::Busy { .. } => {}
        }
    }

    /// The head of a request has arrived.
    pub(super) const fn handle_request(&mut self) {
        match &mut self.state {
            State::Busy { requests } => *requests += 1,
            State::New { .. } | State::Head { .. } | State::Idle { .. } => {
                self.state = State::Busy { requests: 1 };
            }
        }
    }

    /// An answer is complete, or was abandoned.
    pub(super) const fn handle_answered(&mut self, now: Instant) {
        match &mut self.state {
            State::Busy { requests: 2.. } => {
                if let State::Busy { requests } = &mut self.state {
                    *requests -= 1;
                }
            }
            State::Busy { .. } => self.state = State::Idle { since: now },
            State::New { .. } | State::Head { .. } | State::Idle { .. } => {}
        }
    }

    /// When the connection has to close unless something happens, and why.
    pub(super) fn poll_timeout(&self) -> Option<(Instant, Overdue)> {
        match self.state {
            State::New { since } => Some((since + self.patience.head, Overdue::Silent)),
            State::Head { since } => Some((since + self.patience.head, Overdue::Head)),
            State::Idle { since } => Some((since + self.patience.idle, Overdue::Idle)),
            State::Busy { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    };

    fn watch() -> (Instant, Watch) {
        let now = Instant::now();
        (now, Watch::new(now, PATIENCE))
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn bytes_that_dribble_win_no_time() {
        let (start, mut watch) = watch();
        assert_eq!(
            watch.poll_timeout(),
            Some((start + seconds(10), Overdue::Silent))
        );
        for second in 1..10 {
            watch.handle_bytes(start + seconds(second));
            assert_eq!(
                watch.poll_timeout(),
                Some((start + seconds(10), Overdue::Head))
            );
        }
    }

    #[test]
    fn whoever_waits_for_an_answer_is_not_hurried() {
        let (start, mut watch) = watch();
        watch.handle_request();
        watch.handle_request();
        watch.handle_answered(start + seconds(500));
        watch.handle_bytes(start + seconds(600));
        assert_eq!(watch.poll_timeout(), None);
        watch.handle_answered(start + seconds(1000));
        assert_eq!(
            watch.poll_timeout(),
            Some((start + seconds(1075), Overdue::Idle))
        );
    }

    #[test]
    fn between_requests_the_first_byte_starts_the_time_of_the_head() {
        let (start, mut watch) = watch();
        watch.handle_request();
        watch.handle_answered(start);
        watch.handle_bytes(start + seconds(70));
        watch.handle_bytes(start + seconds(79));
        assert_eq!(
            watch.poll_timeout(),
            Some((start + seconds(80), Overdue::Head))
        );
        watch.handle_request();
        assert_eq!(watch.poll_timeout(), None);
    }
}
