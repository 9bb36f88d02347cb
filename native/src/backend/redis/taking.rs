//! Takes in raw messages: carries out what the intakes ask for.
//!
//! If raw channels have a prefix, there is one intake, and one lease, for each partition: every server gets every message. If they have no
//! prefix, a server gets what it follows, so each topic has a lease of its own, for as long as raw messages arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant as Clock};

use futures_util::future::join_all;
use redis::Value;
use tidegate_core::intake::{Intake, IntakeConfig, IntakeOutput, Took};
use tidegate_core::lifecycle::StatedEnd;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tokio::sync::Notify;

use super::call::{Call, LEASE, RELEASE};
use super::error::{publish_error, text};
use super::layout::Partition;
use super::link::{Link, Shared, lock};
use super::raw::Refusal;
use super::store::AsTaken;
use crate::backend::BackendError;
use crate::json::Json;

/// How long a lease outlives its holder, in milliseconds.
const LEASE_MS: &str = "3000";

/// How long a topic's intake stays after its last raw message.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The most topics with raw messages at a time, where raw channels have no prefix.
const SCOPES_MAX: usize = 10_000;

/// How often refused messages are logged.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// A raw message that can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) topic: Topic,
    pub(super) payload: Json,
}

/// The intakes of one link.
pub(super) struct Taking {
    link: u64,
    by_topic: bool,
    started: Clock,
    scopes: Mutex<BTreeMap<String, Scope>>,
    changed: Notify,
    warned: Mutex<(Option<Clock>, usize)>,
}

/// The topics that one lease covers.
struct Scope {
    partition: Partition,
    intake: Intake<Raw>,
    heard: Instant,
}

/// An output of an intake, and its scope.
type Task = (String, Partition, IntakeOutput<Raw>);

impl Taking {
    pub(super) fn new(shared: &Shared, link: u64) -> Self {
        let by_topic = shared.address.prefix.is_empty();
        let partitions = shared.layout.partitions().filter(|_| !by_topic);
        Self {
            link,
            by_topic,
            started: Clock::now(),
            scopes: Mutex::new(
                partitions
                    .map(|at| (at.to_string(), Scope::new(at)))
                    .collect(),
            ),
            changed: Notify::new(),
            warned: Mutex::new((None, 0)),
        }
    }

    fn now(&self) -> Instant {
        let micros = self.started.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub(super) fn raw(&self, partition: Partition, mark: u64, bytes: usize, raw: Raw) {
        let now = self.now();
        let name = if self.by_topic {
            raw.topic.to_string()
        } else {
            partition.to_string()
        };
        let mut scopes = lock(&self.scopes);
        if self.by_topic && scopes.len() >= SCOPES_MAX && !scopes.contains_key(&name) {
            drop(scopes);
            self.warn(|| tracing::warn!(topic = %raw.topic, "too many topics have raw messages at a time; this one's is dropped"));
            return;
        }
        let scope = scopes.entry(name).or_insert_with(|| Scope::new(partition));
        scope.heard = now;
        scope.intake.handle_raw(now, mark, bytes, raw);
        self.changed.notify_one();
    }

    pub(super) fn taken(&self, scope: &str, mark: u64) {
        if let Some(scope) = lock(&self.scopes).get_mut(scope) {
            scope.intake.handle_taken(mark);
        }
    }

    pub(super) fn leased(&self, scope: &str, token: u64) {
        let now = self.now();
        if let Some(scope) = lock(&self.scopes).get_mut(scope) {
            scope.intake.handle_leased(now, token);
            self.changed.notify_one();
        }
    }

    /// Logs that a message is refused. All servers that get it refuse it, but only the holder of the lease logs it.
    pub(super) fn refused_when_heard(&self, partition: Partition, channel: &str, why: &Refusal) {
        let is_ours = self.by_topic
            || lock(&self.scopes)
                .get(&partition.to_string())
                .is_some_and(|scope| scope.intake.holding().is_some());
        if is_ours {
            self.refused(channel, why);
        }
    }

    fn refused(&self, channel: &str, why: &Refusal) {
        self.warn(|| tracing::warn!(channel, "a raw message is not taken in: {why}"));
    }

    /// Logs, unless something was logged a short while ago.
    fn warn(&self, log: impl FnOnce()) {
        let (last, unsaid) = &mut *lock(&self.warned);
        if last.is_some_and(|last| last.elapsed() < WARN_EVERY) {
            *unsaid += 1;
            return;
        }
        if *unsaid > 0 {
            tracing::warn!(count = *unsaid, "further raw messages were not taken in");
        }
        (*last, *unsaid) = (Some(Clock::now()), 0);
        log();
    }

    /// Returns what is to be done now, and when to look again.
    fn tasks(&self) -> (Vec<Task>, Option<Instant>) {
        let now = self.now();
        let mut tasks = Vec::new();
        let mut due: Option<Instant> = None;
        let mut scopes = lock(&self.scopes);
        scopes.retain(|name, scope| {
            if scope.intake.poll_timeout().is_some_and(|at| at <= now) {
                scope.intake.handle_timeout(now);
            }
            while let Some(output) = scope.intake.poll_output() {
                tasks.push((name.clone(), scope.partition, output));
            }
            due = [due, scope.intake.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            !self.by_topic || !scope.intake.is_empty() || scope.heard + IDLE_MAX > now
        });
        (tasks, due)
    }

    /// The leases that are held.
    fn held(&self) -> Vec<(String, Partition, u64)> {
        let scopes = lock(&self.scopes);
        let held = scopes.iter().filter_map(|(name, scope)| {
            Some((name.clone(), scope.partition, scope.intake.holding()?))
        });
        held.collect()
    }

    fn answer(&self, scope: &str, answer: impl FnOnce(&mut Intake<Raw>, Instant)) {
        let now = self.now();
        if let Some(scope) = lock(&self.scopes).get_mut(scope) {
            answer(&mut scope.intake, now);
        }
    }

    fn token(&self, token: u64) -> String {
        format!("{:x}-{token}", self.link)
    }
}

impl Scope {
    fn new(partition: Partition) -> Self {
        Self {
            partition,
            intake: Intake::new(IntakeConfig::default()),
            heard: Instant::ZERO,
        }
    }
}

/// Carries out what the intakes ask for, until the link ends.
pub(super) async fn keep_taking(link: Weak<Link>, taking: Arc<Taking>) {
    loop {
        let (tasks, due) = taking.tasks();
        if tasks.is_empty() {
            let wait = due.map_or(IDLE_MAX, |due| due - taking.now());
            // In either case, there is something to do.
            let _ = tokio::time::timeout(wait, taking.changed.notified()).await;
            continue;
        }
        let Some(link) = link.upgrade() else {
            return;
        };
        join_all(tasks.into_iter().map(|task| link.carry_out(&taking, task))).await;
    }
}

impl Link {
    async fn carry_out(&self, taking: &Taking, (scope, partition, output): Task) {
        match output {
            IntakeOutput::Acquire { token } => {
                self.run_lease(taking, &scope, partition, token, "take")
                    .await;
            }
            IntakeOutput::Prolong { token } => {
                self.run_lease(taking, &scope, partition, token, "prolong")
                    .await;
            }
            IntakeOutput::Take { token, messages } => {
                self.take_in(taking, &scope, partition, token, messages)
                    .await;
            }
            IntakeOutput::Shed { count } => taking.warn(|| {
                tracing::warn!(
                    count,
                    "raw messages waited too long to be taken in and are dropped"
                );
            }),
        }
    }

    async fn run_lease(
        &self,
        taking: &Taking,
        scope: &str,
        partition: Partition,
        token: u64,
        how: &str,
    ) {
        let layout = &self.shared.layout;
        let call = Call::script(
            &LEASE,
            vec![layout.lease(partition, scope)],
            [
                &taking.token(token),
                &LEASE_MS,
                &layout.announce(),
                &layout.taken(partition),
                &scope,
                &how,
            ],
        );
        let value = self
            .run(partition, &[call])
            .await
            .ok()
            .and_then(|mut values| values.pop());
        let is_held = value == Some(Value::Int(1));
        taking.answer(scope, |intake, now| {
            intake.handle_lease(now, token, is_held)
        });
    }

    async fn take_in(
        &self,
        taking: &Taking,
        scope: &str,
        partition: Partition,
        token: u64,
        messages: Vec<(u64, Raw)>,
    ) {
        let layout = &self.shared.layout;
        let (lease, holder) = (layout.lease(partition, scope), taking.token(token));
        let channel = layout.taken(partition);
        let call = |(mark, raw): &(u64, Raw)| {
            let keep = self.shared.keep.get();
            let rule = keep.terminal_rule.as_ref();
            let mut request = PublishRequest::new(raw.topic.clone(), raw.payload.clone());
            request.end = rule
                .and_then(|rule| rule.evaluate(&raw.payload))
                .map(StatedEnd::from);
            // Programs that publish without Tidegate can't request a restart, so publishing to an ended topic starts it anew.
            request.restart = true;
            let as_taken = AsTaken {
                lease: &lease,
                token: &holder,
                channel: &channel,
                mark: &format!("{mark:x}"),
                scope,
            };
            self.shared.publishing(&request, Some(as_taken))
        };
        let calls: Vec<Call> = messages.iter().map(call).collect();
        let answers = match self.run(partition, &calls).await {
            Ok(values) => {
                let mut refused = Vec::new();
                let mut answers = Vec::with_capacity(messages.len());
                for (value, (mark, raw)) in values.iter().zip(&messages) {
                    let is_refused = self.is_refused(taking, value, raw);
                    if is_refused {
                        refused.push(taken(layout.announce(), &channel, &holder, *mark, scope));
                    }
                    answers.push(match is_refused {
                        true => Took::Done,
                        false => took(taking, value, raw),
                    });
                }
                // If this fails, the other servers keep these messages until they are too old.
                let _ = self.run(partition, &refused).await;
                answers
            }
            Err(_) => vec![Took::Failed; messages.len()],
        };
        taking.answer(scope, |intake, now| {
            intake.handle_took(now, token, &answers)
        });
    }

    /// Whether a message is refused for good, so that the others don't have to wait for it.
    fn is_refused(&self, taking: &Taking, value: &Value, raw: &Raw) -> bool {
        let Value::ServerError(error) = value else {
            return false;
        };
        let error = publish_error(self.name(), error);
        let is_refused = matches!(error, BackendError::Content { .. });
        if is_refused {
            taking.warn(
                || tracing::warn!(topic = %raw.topic, "a raw message is not taken in: {error}"),
            );
        }
        is_refused
    }

    /// Releases the leases that are held, so that others needn't wait for them to expire.
    pub(super) async fn release(&self) {
        let Some(taking) = &self.taking else {
            return;
        };
        let layout = &self.shared.layout;
        for (scope, partition, token) in taking.held() {
            let key = layout.lease(partition, &scope);
            let call = Call::script(&RELEASE, vec![key], [&taking.token(token)]);
            // A lease that can't be released expires.
            if self.run(partition, &[call]).await.is_err() {
                return;
            }
        }
    }
}

/// Tells the others that they needn't keep a message, as the script does for one that is taken in.
fn taken(announce: &str, channel: &str, token: &str, mark: u64, scope: &str) -> Call {
    let mut cmd = redis::cmd(announce);
    cmd.arg(channel).arg(format!("T {token} {mark:x} {scope}"));
    Call::Plain(cmd)
}

/// The outcome of taking in a message.
fn took(taking: &Taking, value: &Value, raw: &Raw) -> Took {
    let words: Vec<&str> = value
        .as_sequence()
        .unwrap_or_default()
        .iter()
        .filter_map(text)
        .collect();
    match words.as_slice() {
        ["ok", _] => Took::Done,
        ["fenced"] => Took::Fenced,
        _ => {
            taking.warn(|| tracing::warn!(topic = %raw.topic, ?value, "a raw message could not be taken in; it is tried again"));
            Took::Failed
        }
    }
}
