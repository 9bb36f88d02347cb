//! Takes in raw messages exactly once, although several servers receive them.
//!
//! A raw message is one that a program publishes without Tidegate, for example with `redis-cli PUBLISH`. Every server
//! that listens receives it, and one of them must assign it an offset. Each server has an [`Intake`]. One of them holds
//! a *lease*, which the shared store keeps, and takes in what it receives. The others keep what they receive until they
//! see that it was taken in; the next holder of the lease starts with what is left.
//!
//! ```text
//!            granted                    own lease heard
//!  Waiting ───────────▶ Granted ─────────────────────────▶ Holding
//!     ▲                    │                                  │
//!     └────────────────────┴──────── refused, fenced ─────────┘
//! ```
//!
//! Why it is exactly once, and not about once:
//!
//! - The store refuses messages from a server that doesn't hold the lease any more (*fencing*). A token is used for one
//!   lease only, so a server that lost the lease and got it again can't complete what it began before.
//! - Raw messages, notices of what was taken in, and notices of new holders reach all servers in the same order. A new
//!   holder starts only when it receives the notice of its own lease: by then, it has received the notices of
//!   everything taken in before.
//!
//! What can be lost: if the holder crashes before it has taken in a message, a message that only it received, or that
//! the others had to drop ([`IntakeConfig`]). A server that starts to listen while two messages with the same mark are
//! in transit may take the notice of the first for that of the second; if the holder crashes just then, the second is
//! lost. Nothing is taken in twice.
//!
//! In order of use: [`Intake::handle_raw`], [`Intake::handle_taken`] and [`Intake::handle_leased`] for what the server
//! receives; [`Intake::handle_lease`] and [`Intake::handle_took`] for answers; [`Intake::handle_timeout`]; after each,
//! [`Intake::poll_output`] until `None`.

mod kept;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::time::Instant;
use kept::Kept;

/// The limits and timings of an intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeConfig {
    /// The most messages that are kept until they are taken in.
    pub count_max: usize,
    /// The most bytes of these messages. A single message is kept whatever its size.
    pub bytes_max: usize,
    /// The longest that a message is kept. This must be longer than a lease outlives its holder, and longer than a call
    /// may take.
    pub age_max: Duration,
    /// The most messages of one [`IntakeOutput::Take`].
    pub batch_max: usize,
    /// How often the lease is requested or prolonged: a few times within its lifetime.
    pub ask_every: Duration,
}

impl Default for IntakeConfig {
    /// 10,000 messages, 64 MiB, 30 seconds; 128 at a time; a request for the lease every second.
    fn default() -> Self {
        Self {
            count_max: 10_000,
            bytes_max: 64 * 1024 * 1024,
            age_max: Duration::from_secs(30),
            batch_max: 128,
            ask_every: Duration::from_secs(1),
        }
    }
}

/// What the host must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeOutput<M> {
    /// Take the lease under this token if nobody holds it, and announce it; then call [`Intake::handle_lease`].
    Acquire {
        /// Different each time this intake acquires the lease; the host must make it different from other servers'
        /// tokens.
        token: u64,
    },
    /// Prolong the lease if it is held under this token; then call [`Intake::handle_lease`].
    Prolong {
        /// The token.
        token: u64,
    },
    /// Take these messages in, in order, each only if the lease is held under this token; then call
    /// [`Intake::handle_took`].
    Take {
        /// The token.
        token: u64,
        /// The marks and messages.
        messages: Vec<(u64, M)>,
    },
    /// Messages were given up: there were too many, they were too large together, or too old.
    Shed {
        /// How many.
        count: usize,
    },
}

/// The store's answer for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// It was taken in, or refused for good; the other servers know.
    Done,
    /// Another server holds the lease.
    Fenced,
    /// It could not be taken in now.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// The lease is ours, but notices of what was taken in before may still be in transit.
    Granted {
        token: u64,
    },
    Holding {
        token: u64,
    },
}

/// One server's intake of raw messages.
#[derive(Debug)]
pub struct Intake<M> {
    config: IntakeConfig,
    state: State,
    /// The last token used.
    token: u64,
    /// Whether an answer about the lease is outstanding.
    is_asking: bool,
    /// Whether an answer about messages is outstanding.
    is_taking: bool,
    ask_at: Option<Instant>,
    /// When messages may be offered again after the store failed to take one in.
    take_at: Instant,
    kept: Kept<M>,
    taken_meanwhile: Vec<u64>,
    outputs: VecDeque<IntakeOutput<M>>,
}

impl<M: Clone> Intake<M> {
    /// An intake that has received nothing. It requests the lease in its first [`Intake::handle_timeout`].
    pub fn new(config: IntakeConfig) -> Self {
        Self {
            config,
            state: State::Waiting,
            token: 0,
            is_asking: false,
            is_taking: false,
            ask_at: Some(Instant::ZERO),
            take_at: Instant::ZERO,
            kept: Kept::default(),
            taken_meanwhile: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A raw message of `bytes` arrived. Equal messages have equal marks, on every server.
    pub fn handle_raw(&mut self, now: Instant, mark: u64, bytes: usize, message: M) {
        self.kept.push(now, mark, bytes, message);
        self.shed(now);
        self.take(now);
    }

    /// Another server took in a message with this mark, or refused it for good.
    pub fn handle_taken(&mut self, mark: u64) {
        if self.is_taking {
            // Which of several messages with this mark it is about is known only once our own are settled.
            self.taken_meanwhile.push(mark);
        } else {
            self.kept.remove(mark);
        }
    }

    /// The notice of one of this server's leases arrived, in order among the others.
    pub fn handle_leased(&mut self, now: Instant, token: u64) {
        let is_expected = match self.state {
            State::Waiting => self.is_asking && self.token == token,
            State::Granted { token: granted } => granted == token,
            State::Holding { .. } => false,
        };
        if is_expected {
            self.state = State::Holding { token };
            self.take(now);
        }
    }

    /// The answer to [`IntakeOutput::Acquire`] or [`IntakeOutput::Prolong`]: whether the lease is held under the token.
    pub fn handle_lease(&mut self, now: Instant, token: u64, is_held: bool) {
        self.is_asking = false;
        self.ask_at = Some(now + self.config.ask_every);
        match (self.state, is_held) {
            (State::Waiting, true) if token == self.token => self.state = State::Granted { token },
            (State::Granted { token: own } | State::Holding { token: own }, false)
                if own == token =>
            {
                self.state = State::Waiting;
            }
            (State::Waiting | State::Granted { .. } | State::Holding { .. }, _) => {}
        }
    }

    /// The answers to [`IntakeOutput::Take`], one for each message, in order.
    pub fn handle_took(&mut self, now: Instant, token: u64, answers: &[Took]) {
        self.is_taking = false;
        self.kept.settle(answers);
        for mark in self.taken_meanwhile.drain(..) {
            self.kept.remove(mark);
        }
        let is_own = self.state == State::Holding { token };
        if answers.contains(&Took::Fenced) && is_own {
            self.state = State::Waiting;
        }
        if answers.contains(&Took::Failed) {
            self.take_at = now + self.config.ask_every;
        }
        self.take(now);
    }

    /// Handles deadlines: requests the lease, retries, and gives up messages that are too old.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.shed(now);
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = None;
            self.is_asking = true;
            let output = match self.state {
                State::Waiting => {
                    self.token += 1;
                    IntakeOutput::Acquire { token: self.token }
                }
                State::Granted { token } | State::Holding { token } => {
                    IntakeOutput::Prolong { token }
                }
            };
            self.outputs.push_back(output);
        }
        self.take(now);
    }

    fn shed(&mut self, now: Instant) {
        let count = self.kept.shed(now, &self.config);
        if count > 0 {
            self.outputs.push_back(IntakeOutput::Shed { count });
        }
    }

    fn take(&mut self, now: Instant) {
        let State::Holding { token } = self.state else {
            return;
        };
        if self.is_taking || now < self.take_at {
            return;
        }
        let messages = self.kept.offer(self.config.batch_max);
        if !messages.is_empty() {
            self.is_taking = true;
            self.outputs
                .push_back(IntakeOutput::Take { token, messages });
        }
    }

    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<IntakeOutput<M>> {
        self.outputs.pop_front()
    }

    /// When [`Intake::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_holding = matches!(self.state, State::Holding { .. });
        let waits = is_holding && !self.is_taking && !self.kept.is_empty();
        let retry = waits.then_some(self.take_at);
        let expiry = self.kept.expires_at(&self.config);
        [self.ask_at, retry, expiry].into_iter().flatten().min()
    }

    /// The token of the lease, while this server takes messages in.
    pub const fn holding(&self) -> Option<u64> {
        match self.state {
            State::Holding { token } => Some(token),
            State::Waiting | State::Granted { .. } => None,
        }
    }

    /// Returns whether no message waits to be taken in.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests;
