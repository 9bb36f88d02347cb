//! The link to a server: its connections, and the one place where their loss is noticed.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};

use super::address::Address;
use super::errors;
use super::following::Following;
use super::held::{Cancel, Held};
use super::names::Names;
use super::queue::Queue;
use super::statements::Statements;
use crate::backend::kept::Kept;
use crate::backend::{BackendError, Feed, Keep, RefusedLog};

/// A parameter of a statement, with its type. No statement is prepared by name, because a pooler may run the next one on another
/// connection.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// How long a migration may take: it may build an index on a large table of the application's.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);

/// One opening of the backend. Its tasks end when it is lost.
#[derive(Debug)]
pub(super) struct Link {
    address: Arc<Address>,
    keep: Arc<Kept>,
    statements: OnceLock<Statements>,
    /// For calls; the reader of the feed has a connection of its own.
    calls: Client,
    /// The statements on that connection that have no answer yet.
    asked: Queue,
    cancel_call: Cancel,
    /// Set once the link is open. From then on, the feed is told if it is lost.
    feed: OnceLock<Feed>,
    lost: OnceLock<BackendError>,
    is_unanswered: AtomicBool,
    ended: watch::Sender<bool>,
    following: RwLock<Following>,
    /// Wakes the reader: there may be something new.
    pub(super) news: Notify,
    /// Wakes the task that notifies other servers that something is new.
    pub(super) announcement: Notify,
    damaged: RefusedLog,
}

impl Link {
    pub(super) fn new(
        address: Arc<Address>,
        keep: Arc<Kept>,
        calls: Client,
        cancel_call: Cancel,
    ) -> Self {
        Self {
            address,
            keep,
            statements: OnceLock::new(),
            calls,
            asked: Queue::default(),
            cancel_call,
            feed: OnceLock::new(),
            lost: OnceLock::new(),
            is_unanswered: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            following: RwLock::default(),
            news: Notify::new(),
            announcement: Notify::new(),
            damaged: RefusedLog::default(),
        }
    }

    /// What the backend keeps, as far as is known.
    pub(super) fn keep(&self) -> Arc<Keep> {
        self.keep.get()
    }

    /// Writes what the backend keeps, as a server does, or reads what servers have written.
    pub(super) async fn agree_on_keep(&self) -> Result<(), BackendError> {
        let statements = self.statements();
        let Some(text) = self.keep.to_write() else {
            for row in self.query(&statements.kept, &[]).await? {
                self.keep.update(row.get(0));
            }
            return Ok(());
        };
        self.query(&statements.keep, &[(&text, Type::TEXT)]).await?;
        Ok(())
    }

    pub(super) fn place(&self) -> &str {
        &self.address.place
    }

    pub(super) fn names(&self) -> &Names {
        &self.address.names
    }

    pub(super) fn poll(&self) -> Duration {
        self.address.poll
    }

    pub(super) fn stall(&self) -> Duration {
        self.address.stall
    }

    /// The statements for this table; known once the schema was prepared.
    pub(super) fn statements(&self) -> &Statements {
        self.statements
            .get()
            .expect("set before the link is handed out")
    }

    pub(super) fn set_statements(&self, statements: Statements) {
        let _ = self.statements.set(statements);
    }

    /// Sets the feed that broadcasts, and the loss of the link, are passed to.
    pub(super) fn set_feed(&self, feed: Feed) -> Result<(), BackendError> {
        let _ = self.feed.set(feed);
        self.check()
    }

    /// Returns why the link is lost, if it is.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        self.lost.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Marks the link as lost: tells the feed once, and ends the tasks.
    pub(super) fn lose(&self, error: BackendError) {
        if self.lost.set(error.clone()).is_ok() {
            self.ended.send_replace(true);
            if let Some(feed) = self.feed.get() {
                feed.lost(error);
            }
        }
    }

    /// Passes on a broadcast, if the link is open.
    pub(super) fn deliver_broadcast(&self, message: &str) {
        if let Some(feed) = self.feed.get()
            && self.lost.get().is_none()
        {
            feed.broadcast(message.to_owned());
        }
    }

    /// Whether the link was given up because an answer didn't arrive. Nobody needs what the server is still doing for it.
    pub(super) fn is_unanswered(&self) -> bool {
        self.is_unanswered.load(Ordering::Relaxed)
    }

    /// Gives up the link because an answer did not arrive within the time that the caller has.
    pub(super) fn give_up_unanswered(&self) {
        self.is_unanswered.store(true, Ordering::Relaxed);
        self.give_up();
    }

    /// Gives up the link, without telling the feed.
    pub(super) fn give_up(&self) {
        let backend = self.place().to_owned();
        let _ = self.lost.set(BackendError::Closed { backend });
        self.ended.send_replace(true);
    }

    /// Runs `task` until it is done or the link is lost.
    pub(super) async fn while_it_stands(&self, task: impl Future<Output = ()>) {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {}
            () = task => {}
        }
    }

    pub(super) fn unreachable(&self, reason: &str) -> BackendError {
        BackendError::Unreachable {
            backend: self.place().to_owned(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn refused(&self, reason: &str) -> BackendError {
        BackendError::Refused {
            backend: self.place().to_owned(),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn unexpected(&self, reason: String) -> BackendError {
        BackendError::Unexpected {
            backend: self.place().to_owned(),
            reason,
        }
    }

    /// Logs that a row can't be read, and is left out.
    pub(super) fn log_damaged(&self, channel: &str, reason: String) {
        self.damaged.log_damaged(&channel, &self.unexpected(reason));
    }

    /// Runs a statement on the connection for calls.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, BackendError> {
        let _place = self.asked.enter();
        self.query_on(&self.calls, sql, parameters).await
    }

    /// Runs a statement on one of the link's connections.
    pub(super) async fn query_on(
        &self,
        client: &Client,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, BackendError> {
        let answer = client.query_typed(sql, parameters);
        self.within(self.address.timeout, client, answer, errors::backend_error)
            .await
    }

    /// Runs a statement that nobody waits for, on the connection for calls. If it takes too long, it is cancelled, before the calls queued
    /// behind it time out because of it. It is not cancelled while the server is still working on an earlier call, because that would be
    /// cancelled instead. The link is lost only if there is no answer even then.
    pub(super) async fn query_in_background(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, BackendError> {
        let place = self.asked.enter();
        let timeout = self.address.timeout;
        let answer = self.calls.query_typed(sql, parameters);
        // The calls before it may take one timeout, and the statement itself another.
        let mut answer =
            std::pin::pin!(self.within(2 * timeout, &self.calls, answer, errors::backend_error));
        let began = Instant::now();
        tokio::select! {
            // The answer is polled first, which sends the statement.
            biased;
            answer = &mut answer => return answer,
            () = place.first() => {}
        }
        let until = (began + timeout / 2).max(Instant::now() + timeout / 8);
        if let Ok(answer) = tokio::time::timeout_at(until, &mut answer).await {
            return answer;
        }
        let waited = began.elapsed().as_millis();
        self.cancel_call.ask().await;
        let cancelled = answer.await;
        if cancelled.is_err() {
            self.check()?;
            return Err(self.unreachable(&format!("not done within {waited} ms, and cancelled")));
        }
        cancelled
    }

    /// Runs a statement that stores publications, on the connection for calls.
    pub(super) async fn store(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, BackendError> {
        let _place = self.asked.enter();
        self.store_on(&self.calls, sql, parameters).await
    }

    /// Runs a statement that stores publications, on one of the link's connections.
    pub(super) async fn store_on(
        &self,
        client: &Client,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, BackendError> {
        let answer = client.query_typed(sql, parameters);
        let timeout = self.address.timeout;
        self.within(timeout, client, answer, errors::content_error)
            .await
    }

    /// Runs several statements without parameters, as one transaction.
    pub(super) async fn run_script(&self, sql: &str) -> Result<(), BackendError> {
        let answer = self.calls.batch_execute(sql);
        self.within(SCRIPT_TIMEOUT, &self.calls, answer, errors::backend_error)
            .await
    }

    async fn within<T>(
        &self,
        timeout: Duration,
        client: &Client,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
        convert: fn(&str, &tokio_postgres::Error) -> BackendError,
    ) -> Result<T, BackendError> {
        self.check()?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let converted = convert(self.place(), &error);
                if client.is_closed() || error.code().is_none_or(errors::ends_link) {
                    self.lose(converted.clone());
                }
                // If the link was lost meanwhile, that ended the connection, and its reason is the one to report.
                self.check()?;
                Err(converted)
            }
            Err(_) => {
                self.is_unanswered.store(true, Ordering::Relaxed);
                let millis = timeout.as_millis();
                let error = self.unreachable(&format!("no answer within {millis} ms"));
                self.lose(error.clone());
                Err(error)
            }
        }
    }

    /// What is followed at the moment.
    pub(super) fn following(&self) -> RwLockReadGuard<'_, Following> {
        self.following
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What is followed, to change it.
    pub(super) fn following_mut(&self) -> RwLockWriteGuard<'_, Following> {
        self.following
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a connection until it or its link ends.
pub(super) async fn drive<S>(link: Arc<Link>, mut held: Held<S>)
where
    S: TlsStream + Unpin + Send + 'static,
{
    let driver = async {
        let error = loop {
            match held.message().await {
                Some(Ok(AsyncMessage::Notification(notification))) => link.notified(&notification),
                Some(Ok(_)) => {}
                Some(Err(error)) => break errors::backend_error(link.place(), &error),
                None => break link.unreachable("it ended the connection"),
            }
        };
        link.lose(error);
    };
    link.while_it_stands(driver).await;
}
