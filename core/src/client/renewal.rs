//! Renewing tokens: before one expires, the host is asked for another, and the server gets it over the open connection.

use core::time::Duration;

use alloc::string::String;

use super::{Backoff, Client, ClientConfig, ClientEvent, State, TokenSource};
use crate::payload::Payload;
use crate::protocol::ClientFrame;
use crate::random::Random;
use crate::time::Instant;

/// At least this much of a token's time is left when it is renewed, or half of its lifetime if that is less.
const LEFT_MS_MIN: u64 = 30_000;

/// The shortest time between tokens, whatever expiry the server states.
const RENEW_AFTER_MS_MIN: u64 = 1_000;

/// The ceiling of the first random wait after a failure; it doubles with each further failure.
const RETRY_BASE: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How many tokens in a row may be refused before the client gives up, if none was ever accepted: a misconfigured host
/// should find out soon.
const REFUSALS_MAX_AT_FIRST: u32 = 2;

/// The same, if an earlier token was accepted: the token issuer may have restarted together with the server, and issue
/// bad tokens for a while. With the backoff between connections, that many refusals take about a minute.
const REFUSALS_MAX: u32 = 12;

/// The state of the tokens of a client that asks its host for them.
#[derive(Debug)]
pub(super) struct Tokens {
    held: Option<String>,
    /// The number of the last question; answers to earlier ones are ignored.
    asked: u32,
    renewal: Renewal,
    retries: Backoff,
    random: Random,
    /// How many tokens were refused since the last welcome.
    refused: u32,
    /// Whether any token was ever accepted.
    was_taken: bool,
}

#[derive(Debug)]
enum Renewal {
    /// The connection's token doesn't expire, or can't be renewed.
    None,
    Due {
        at: Instant,
    },
    /// The host has been asked for a token.
    Asking {
        until: Instant,
    },
    /// The server is checking the token.
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

    /// Returns whether the last connection was refused because of its token, and another one should be tried.
    pub(super) const fn has_another_chance(&self) -> bool {
        self.refused > 0
    }

    const fn is_asking(&self) -> bool {
        matches!(self.renewal, Renewal::Asking { .. })
    }

    pub(super) fn handle_lost(&mut self) {
        self.renewal = Renewal::None;
    }

    /// The server refused the new token; the previous one stays in force.
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

    /// How long to wait before renewing a token with this lifetime: up to four fifths of it, minus a random part so
    /// that clients that connected together don't ask together.
    fn renew_after(&mut self, lasts_ms: u64) -> Duration {
        let late = lasts_ms / 5 * 4;
        let left = lasts_ms.saturating_sub(LEFT_MS_MIN);
        let latest = late.min(left).max(lasts_ms / 2);
        let jitter = self.random.up_to(lasts_ms / 10);
        Duration::from_millis((latest - jitter).max(RENEW_AFTER_MS_MIN))
    }
}

impl<P: Payload + Clone> Client<P> {
    /// The token to send in `hello`.
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

    /// The host has got a token, or has failed to (`None`). Answers to outdated questions are ignored.
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

    /// Sends the server a new token. Sending the same one again would prolong nothing.
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

    /// The server has welcomed the client; its token lasts `lasts_ms`, or doesn't expire.
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

    /// Asks for the next token when it is time, and again if that has failed.
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

    /// Counts a refused token. Returns whether to try another one, after the usual backoff, instead of giving up.
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
