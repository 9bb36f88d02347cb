//! How a tab becomes the leader: it waits, notices that nobody leads, and takes over.
//!
//! ```text
//!              silence                  no sign of life, own channel proven
//!   Following ─────────▶ Asking ─────────────────────────┐
//!    ▲  ▲  ▲               │ sign of life                ▼     granted
//!    │  │  └───────────────┘          leader left ──▶ Vacant ───────────▶ Leading
//!    │  └──────── somebody leads ────────────────────────┤                  │
//!    │                                                   ▼ no locks         │
//!    │                                                Claiming ─────────────┤
//!    └──────────────────────────── fenced, robbed ──────────────────────────┘
//! ```
//!
//! A vacancy is waited out first, because the lock is granted to the next in the queue. If it isn't (that tab is
//! frozen, or the browser forgot the queue), the lock is requested again, and then stolen; each further attempt waits
//! longer.

mod step;

use core::time::Duration;

use alloc::collections::VecDeque;

use super::config::{Election, TabsConfig};
use super::message::Term;
use crate::client::Backoff;
use crate::random::Random;
use crate::time::Instant;
pub(super) use step::Step;

/// The first wait between two attempts is between half of this and one and a half times this; the random part's ceiling
/// doubles with each further attempt.
const ATTEMPT_BASE: Duration = Duration::from_millis(500);

/// How often the time allowed for an answer doubles at most.
const DOUBLINGS_MAX: u32 = 3;

/// A visible tab waits up to this long before it steals the lock, so that one of several gets there first.
const STEAL_JITTER: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not a candidate: frozen, or not asked to connect.
    Out,
    Following {
        /// When silence becomes suspicious.
        silent_at: Instant,
    },
    Asking {
        until: Instant,
        /// Whether this tab's own channel works: another tab has answered.
        is_answered: bool,
    },
    Vacant {
        until: Instant,
        /// Whether the next attempt steals the lock from its holder instead of queueing for it.
        steals: bool,
    },
    Claiming {
        until: Instant,
    },
    Leading {
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lock {
    request: u32,
    is_held: bool,
}

#[derive(Debug)]
pub(super) struct Candidacy<const LEADS: bool> {
    standing: Standing,
    lock: Option<Lock>,
    next_request: u32,
    /// The last generation of the worker that this tab has requested.
    spawned: Option<u64>,
    backoff: Backoff,
    random: Random,
    /// When this tab last tried to take over.
    tried: Instant,
    pub(super) steps: VecDeque<Step>,
}

/// How the leader is decided: always a worker, if this tab never leads. Written so that the compiler can drop the other
/// cases.
pub(super) const fn election<const LEADS: bool>(config: &TabsConfig) -> Election {
    if LEADS {
        return config.election;
    }
    let generation = match config.election {
        Election::Worker { generation } | Election::Host { generation } => generation,
        Election::Lock | Election::Claims => 1,
    };
    Election::Worker { generation }
}

impl<const LEADS: bool> Candidacy<LEADS> {
    pub(super) fn new(config: &TabsConfig) -> Self {
        let seed = config.client.seed ^ 0x7461_6273;
        Self {
            standing: Standing::Out,
            lock: None,
            next_request: 0,
            spawned: None,
            backoff: Backoff::new(seed, ATTEMPT_BASE, config.backoff_max),
            random: Random::new(seed.rotate_left(17)),
            tried: Instant::ZERO,
            steps: VecDeque::new(),
        }
    }

    /// This tab takes part from now on.
    pub(super) fn handle_enter(&mut self, now: Instant, config: &TabsConfig) {
        match election::<LEADS>(config) {
            Election::Host { .. } => self.lead(now),
            Election::Worker { generation } => {
                self.spawn(self.spawned.unwrap_or(0).max(generation));
                self.wait(now + config.worker_patience);
            }
            Election::Lock => {
                self.queue();
                self.wait(now + config.grant_patience);
            }
            Election::Claims => self.wait(now + config.claim_window),
        }
    }

    /// This tab no longer takes part, and no other tab must wait for it.
    pub(super) fn handle_leave(&mut self) {
        self.standing = Standing::Out;
        self.release();
    }

    /// There was a sign of life from the leader.
    pub(super) fn handle_life(&mut self, now: Instant, patience: Duration, config: &TabsConfig) {
        match self.standing {
            Standing::Out | Standing::Leading { .. } => return,
            Standing::Following { .. }
            | Standing::Asking { .. }
            | Standing::Vacant { .. }
            | Standing::Claiming { .. } => {}
        }
        if now - self.tried >= config.stable_after {
            self.backoff.reset();
        }
        // With jitter, because the first tab that asks gets an answer for all.
        let micros = u64::try_from(patience.as_micros() / 4).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.random.up_to(micros));
        self.standing = Standing::Following {
            silent_at: now + patience + jitter,
        };
        if election::<LEADS>(config) == Election::Lock {
            self.queue();
        }
    }

    /// Returns whether, as far as this tab has heard, there is a leader. False once silence has proven that there is
    /// none.
    pub(super) const fn knows_leader(&self) -> bool {
        matches!(
            self.standing,
            Standing::Following { .. } | Standing::Asking { .. } | Standing::Leading { .. }
        )
    }

    /// Another tab has answered, so this tab's channel works.
    pub(super) const fn handle_answer(&mut self) {
        if let Standing::Asking { is_answered, .. } = &mut self.standing {
            *is_answered = true;
        }
    }

    /// The leader has left, or this tab no longer leads: another tab takes over.
    pub(super) fn handle_vacancy(&mut self, now: Instant, config: &TabsConfig) {
        if let Standing::Leading { since } = self.standing
            && now - since >= config.stable_after
        {
            self.backoff.reset();
        }
        if self.standing == Standing::Out {
            return;
        }
        let patience = match election::<LEADS>(config) {
            Election::Lock | Election::Host { .. } => config.grant_patience,
            Election::Claims | Election::Worker { .. } => Duration::from_micros(1),
        };
        if election::<LEADS>(config) == Election::Lock {
            self.queue();
        }
        self.wait(now + patience);
    }

    /// The leader asks this tab to take over.
    pub(super) fn handle_yield(&mut self, now: Instant, config: &TabsConfig) {
        match election::<LEADS>(config) {
            Election::Lock => self.request(true),
            Election::Claims => self.lead(now),
            Election::Worker { .. } | Election::Host { .. } => {}
        }
    }

    /// Another tab claims the lead, and goes first if it is better placed.
    pub(super) fn handle_claim(&mut self, now: Instant, is_better: bool, config: &TabsConfig) {
        if let Standing::Claiming { .. } = self.standing {
            if is_better {
                self.wait(now + config.claim_window + config.claim_window);
            } else {
                self.steps.push_back(Step::Claim);
            }
        }
    }

    /// A lock was granted. It is released at once if it is no longer wanted.
    pub(super) fn handle_granted(&mut self, now: Instant, request: u32) {
        match &mut self.lock {
            Some(lock) if lock.request == request => {
                lock.is_held = true;
                self.lead(now);
            }
            Some(_) | None => self.steps.push_back(Step::ReleaseLock { request }),
        }
    }

    /// A lock was stolen, or could not be obtained. Returns whether this tab held it.
    pub(super) fn handle_lost(&mut self, request: u32) -> bool {
        let lost = self.lock.take_if(|lock| lock.request == request);
        lost.is_some_and(|lock| lock.is_held)
    }

    /// There is a leader with a later term. If this tab holds the lock, it is released.
    pub(super) fn handle_fenced(&mut self, now: Instant, patience: Duration, config: &TabsConfig) {
        if self.lock.is_some_and(|lock| lock.is_held) {
            self.release();
        }
        self.standing = Standing::Following { silent_at: now };
        self.handle_life(now, patience, config);
    }

    /// The server knows of a later leadership than this one. If this tab holds the lock, it has no right to it.
    pub(super) fn handle_superseded(&mut self, now: Instant, config: &TabsConfig) {
        self.release();
        self.probe(now, config);
    }

    /// There is a worker of a later generation.
    pub(super) fn handle_generation(&mut self, generation: u64) {
        if self.spawned.is_some_and(|spawned| spawned < generation) {
            self.spawn(generation);
        }
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        top: Term,
        is_alone: bool,
        is_visible: bool,
        config: &TabsConfig,
    ) {
        match self.standing {
            Standing::Following { silent_at } if silent_at <= now => self.probe(now, config),
            Standing::Asking { until, is_answered } if until <= now => {
                if is_answered || is_alone {
                    let jitter = self.jitter(is_visible);
                    self.standing = Standing::Vacant {
                        until: now + jitter,
                        steals: true,
                    };
                } else {
                    self.steps.push_back(Step::Forget);
                    self.probe(now, config);
                }
            }
            Standing::Vacant { until, steals } if until <= now => {
                self.attempt(now, steals, top, config);
            }
            Standing::Claiming { until } if until <= now => self.lead(now),
            Standing::Out
            | Standing::Following { .. }
            | Standing::Asking { .. }
            | Standing::Vacant { .. }
            | Standing::Claiming { .. }
            | Standing::Leading { .. } => {}
        }
    }

    fn probe(&mut self, now: Instant, config: &TabsConfig) {
        let patience = config.probe_timeout * (1 << self.backoff.attempt().min(DOUBLINGS_MAX));
        self.standing = Standing::Asking {
            until: now + patience,
            is_answered: false,
        };
        self.steps.push_back(Step::Probe);
    }

    fn jitter(&mut self, is_visible: bool) -> Duration {
        let micros = u64::try_from(STEAL_JITTER.as_micros()).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(1 + self.random.up_to(micros));
        if is_visible {
            jitter
        } else {
            jitter + STEAL_JITTER * 5
        }
    }

    fn attempt(&mut self, now: Instant, steals: bool, top: Term, config: &TabsConfig) {
        self.tried = now;
        let wait = ATTEMPT_BASE / 2 + self.backoff.next_wait();
        match election::<LEADS>(config) {
            Election::Lock => self.request(steals),
            Election::Claims => {
                self.steps.push_back(Step::Claim);
                self.standing = Standing::Claiming {
                    until: now + config.claim_window,
                };
                return;
            }
            Election::Worker { .. } => {
                self.spawn(top.counter.max(self.spawned.unwrap_or(0)) + 1);
                self.standing = Standing::Vacant {
                    until: now + config.worker_patience + wait,
                    steals: true,
                };
                return;
            }
            Election::Host { .. } => {}
        }
        self.standing = Standing::Vacant {
            until: now + wait,
            steals: true,
        };
    }

    fn wait(&mut self, until: Instant) {
        self.standing = Standing::Vacant {
            until,
            steals: false,
        };
    }

    fn queue(&mut self) {
        if self.lock.is_none() {
            self.request(false);
        }
    }

    fn request(&mut self, steal: bool) {
        self.release();
        self.next_request += 1;
        let request = self.next_request;
        self.lock = Some(Lock {
            request,
            is_held: false,
        });
        self.steps.push_back(Step::RequestLock { request, steal });
    }

    fn release(&mut self) {
        if let Some(Lock { request, .. }) = self.lock.take() {
            self.steps.push_back(Step::ReleaseLock { request });
        }
    }

    fn spawn(&mut self, generation: u64) {
        self.spawned = Some(generation);
        self.steps.push_back(Step::SpawnWorker { generation });
    }

    fn lead(&mut self, now: Instant) {
        self.standing = Standing::Leading { since: now };
        self.steps.push_back(Step::Lead);
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.standing {
            Standing::Following { silent_at } => Some(silent_at),
            Standing::Asking { until, .. }
            | Standing::Vacant { until, .. }
            | Standing::Claiming { until } => Some(until),
            Standing::Out | Standing::Leading { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
