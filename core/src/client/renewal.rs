//! Tokens that end: the host is asked for another one in time, and the server is shown it, while the connection goes on.

use core::time::Duration;

use alloc::string::String;

use super::{Backoff, Client, ClientConfig, ClientEvent, State, TokenSource};
use crate::payload::Payload;
use crate::protocol::ClientFrame;
use crate::random::Random;
use crate::time::Instant;

/// This much of a token's time is left at the least when another one is asked for, if half of its time is more.
const LEFT_MS_MIN: u64 = 30_000;

/// A token is not asked for sooner than this after the last one, whatever the server says of its end.
const RENEW_AFTER_MS_MIN: u64 = 1_000;

/// The first wait after a failure lies between 0 and this; each further one may be twice as long.
const RETRY_BASE: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// So many tokens in a row may be refused before the last refusal is final: a host that never came by one that is taken is told soon.
const REFUSALS_MAX_AT_FIRST: u32 = 2;

/// The same, where an earlier token was taken: who hands out tokens may be started anew together with the server, and hand out no good
/// ones for a while. With the waits of a connection that fails, it takes about a minute to refuse so many.
const REFUSALS_MAX: u32 = 12;

/// What a client that asks its host for tokens knows of them.
#[derive(Debug)]
pub(super) struct Tokens {
    held: Option<String>,
    /// The number of the last question. What answers an earlier one comes too late.
    asked: u32,
    renewal: Renewal,
    retries: Backoff,
    random: Random,
    /// How many tokens were refused since the last welcome.
    refused: u32,
    /// Whether one was ever taken.
    was_taken: bool,
}

#[derive(Debug)]
enum Renewal {
    /// The connection has no token that ends.
    None,
    Due {
        at: Instant,
    },
    /// The host comes by a token.
    Asking {
        until: Instant,
    },
    /// The server looks at it.
    Shown {
        until: Instant,
    },
}

impl Tokens {
    pub(super) const fn new(config: &ClientConfig) -> Self {
        Self {
            held: None,
            asked: 0,
            renewal: Renewal::None,
            retries: Backoff::new(config.seed ^ 0x746f_6b65_6e73, RETRY_BASE, RETRY_MAX),
            random: Random::new(config.seed ^ 0x656e_6473),
            refused: 0,
            was_taken: false,
        }
    }

    /// Whether the connection that is gone was refused, and is to be tried with another token.
    pub(super) const fn has_another_chance(&self) -> bool {
        self.refused > 0
    }

    const fn is_asking(&self) -> bool {
        matches!(self.renewal, Renewal::Asking { .. })
    }

    pub(super) fn handle_lost(&mut self) {
        self.renewal = Renewal::None;
    }

    /// The server has not taken the token that it was shown, and goes by the one before.
    pub(super) fn handle_refused(&mut self, now: Instant) {
        if let Renewal::Shown { .. } = self.renewal {
            self.retry(now);
        }
    }

    fn retry(&mut self, now: Instant) {
        let at = now + self.retries.next_wait();
        self.renewal = Renewal::Due { at };
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.renewal {
            Renewal::None => None,
            Renewal::Due { at } => Some(at),
            Renewal::Asking { until } | Renewal::Shown { until } => Some(until),
        }
    }

    /// After how much of a token's time to ask for the next: at four fifths, somewhat sooner for some than for others, so
    /// that clients who came together don't ask together.
    fn renew_after(&mut self, lasts_ms: u64) -> Duration {
        let late = lasts_ms / 5 * 4;
        let left = lasts_ms.saturating_sub(LEFT_MS_MIN);
        let latest = late.min(left).max(lasts_ms / 2);
        let jitter = self.random.up_to(lasts_ms / 10);
        Duration::from_millis((latest - jitter).max(RENEW_AFTER_MS_MIN))
    }
}

impl<P: Payload + Clone> Client<P> {
    /// The token to say hello with.
    pub(super) fn token(&self) -> Option<String> {
        match &self.config.token {
            TokenSource::None => None,
            TokenSource::Fixed(token) => Some(token.clone()),
            TokenSource::Asked => self.tokens.held.clone(),
        }
    }

    pub(super) fn ask_token(&mut self) {
        self.tokens.asked = self.tokens.asked.wrapping_add(1);
        let request = self.tokens.asked;
        self.output.push_back(ClientEvent::AskToken { request });
    }

    /// The host has come by a token, or could not (`None`). What answers no question that is open is ignored.
    pub fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        if request != self.tokens.asked {
            return;
        }
        match self.state {
            State::Asking { .. } if token.is_some() => {
                self.tokens.held = token;
                self.open_transport(now);
            }
            State::Asking { .. } => self.lose(now),
            State::Open(_) if self.tokens.is_asking() => self.show(now, token),
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Opening { .. }
            | State::Open(_)
            | State::Closed => {}
        }
    }

    /// Shows the server another token. The same once more would prolong nothing.
    fn show(&mut self, now: Instant, token: Option<String>) {
        if token.is_none() || token == self.tokens.held {
            return self.tokens.retry(now);
        }
        self.tokens.held.clone_from(&token);
        let until = now + self.config.probe_timeout;
        self.tokens.renewal = Renewal::Shown { until };
        self.send(ClientFrame::Hello {
            token,
            client: None,
            group: None,
        });
    }

    /// The server has welcomed us by a token that lasts so long, or without end.
    pub(super) fn handle_lasting(&mut self, now: Instant, lasts_ms: Option<u64>) {
        self.tokens.refused = 0;
        self.tokens.was_taken = true;
        self.tokens.retries.reset();
        self.tokens.renewal = match lasts_ms {
            Some(lasts_ms) if self.config.token == TokenSource::Asked => Renewal::Due {
                at: now + self.tokens.renew_after(lasts_ms),
            },
            Some(_) | None => Renewal::None,
        };
    }

    /// Asks for the next token when it is time, and again where nothing came of it.
    pub(super) fn renew(&mut self, now: Instant) {
        if self.tokens.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.tokens.renewal {
            Renewal::Due { .. } => {
                let until = now + self.config.token_timeout;
                self.tokens.renewal = Renewal::Asking { until };
                self.ask_token();
            }
            Renewal::Asking { .. } | Renewal::Shown { .. } => self.tokens.retry(now),
            Renewal::None => {}
        }
    }

    /// Whether a token that was refused just now is no reason to give up yet: another one is asked for, after the wait of a connection that fails.
    pub(super) fn takes_another_chance(&mut self) -> bool {
        let tokens = &mut self.tokens;
        let refusals_max = if tokens.was_taken {
            REFUSALS_MAX
        } else {
            REFUSALS_MAX_AT_FIRST
        };
        tokens.refused += 1;
        let takes = self.config.token == TokenSource::Asked && tokens.refused < refusals_max;
        if !takes {
            tokens.refused = 0;
        }
        takes
    }
}
