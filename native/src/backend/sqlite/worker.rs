//! The thread that owns the file: it stores what is to be published, reads what is requested, and checks for what
//! others wrote.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::topic::Topic;

use super::WAL_BYTES_MAX;
use super::broadcasts::Broadcasts;
use super::command::{Command, Ending, Published, Reply};
use super::fault::{Fault, is_busy};
use super::interest::Interest;
use super::neighbours::Neighbours;
use super::pace::{WAIT_MAX, next_wait};
use super::refusals::Refusals;
use super::store::Store;
use super::trimming::Trimming;
use super::writing::Written;
use crate::backend::{BackendError, Feed};
use crate::json::Json;

/// The most requests that one transaction stores, unless a single batch has more.
const GROUP_MAX: usize = 1024;

/// How long work other than publishing waits for another process's transaction: it can be done later.
const PATIENCE: Duration = Duration::from_millis(50);

/// The time between two checks of whether the file is still in its place, and how large its log is.
const CHECK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    backend: String,
    store: Store,
    feed: Feed,
    neighbours: Neighbours,
    interest: Interest,
    broadcasts: Broadcasts,
    /// The last `seq` that was passed to the feed.
    cursor: i64,
    data_version: i64,
    /// Whether rows of others are waiting that could not be taken in.
    is_behind: bool,
    wait: Duration,
    next_look: Instant,
    next_check: Instant,
    trimming: Trimming,
    refusals: Refusals,
    warned_of_wal: bool,
}

impl Worker {
    pub(super) fn new(
        backend: String,
        store: Store,
        feed: Feed,
        neighbours: Neighbours,
    ) -> Result<Self, rusqlite::Error> {
        let now = Instant::now();
        Ok(Self {
            data_version: store.data_version()?,
            cursor: store.seq()?,
            broadcasts: Broadcasts::new(&store)?,
            trimming: Trimming::new(now, &store.keep),
            refusals: Refusals::new(backend.clone()),
            backend,
            store,
            feed,
            neighbours,
            interest: Interest::new(),
            // Rows may have been inserted before this thread ran.
            is_behind: true,
            wait: WAIT_MAX,
            next_look: now,
            next_check: now + CHECK_EVERY,
            warned_of_wal: false,
        })
    }

    /// Runs until it is closed or the link is lost.
    pub(super) fn run(mut self, commands: &Receiver<Command>) -> Ending {
        let mut waiting = VecDeque::new();
        loop {
            let wait = self.next_look.saturating_duration_since(Instant::now());
            match commands.recv_timeout(wait) {
                Ok(command) => waiting.push_back(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ending::Closed,
            }
            waiting.extend(commands.try_iter().take(GROUP_MAX));
            match self.turn(&mut waiting) {
                Ok(false) => {}
                Ok(true) => return Ending::Closed,
                Err(error) => {
                    // Callers that wait for an answer learn of it when the thread ends.
                    self.feed.lost(error.clone());
                    return Ending::Lost(error);
                }
            }
        }
    }

    /// Carries out the waiting commands, then checks the file if it is time. Returns true if the thread has to end.
    fn turn(&mut self, waiting: &mut VecDeque<Command>) -> Result<bool, BackendError> {
        let mut is_told = false;
        while let Some(command) = waiting.pop_front() {
            match command {
                Command::Publish { batch, reply } => self.publish(batch, reply, waiting)?,
                Command::Follow { patterns, reply } => {
                    self.interest.follow(patterns);
                    let _ = reply.send(Ok(()));
                }
                Command::Unfollow { patterns, reply } => {
                    self.interest.unfollow(&patterns);
                    let _ = reply.send(Ok(()));
                }
                Command::Read {
                    topic,
                    since,
                    reply,
                } => self.answer(reply, |it| it.store.read(&topic, since))?,
                Command::List { page, reply } => {
                    self.answer(reply, |it| it.store.list(&page))?;
                }
                Command::Renew {
                    topic,
                    epoch,
                    reply,
                } => self.answer(reply, |it| it.renew(&topic, epoch))?,
                Command::Cursors { calls, reply } => {
                    self.check_place()?;
                    self.answer(reply, |it| it.cursors(&calls))?;
                }
                Command::Broadcast { message, reply } => {
                    self.answer(reply, |it| it.broadcast(&message))?;
                }
                Command::Probe { reply } => {
                    self.check_place()?;
                    self.answer(reply, |it| it.store.seq().map(drop))?;
                }
                Command::Look => is_told = true,
                Command::Close => return Ok(true),
            }
        }
        let now = Instant::now();
        if is_told {
            self.quietly(Self::look_closer)?;
        }
        if self.next_look <= now {
            self.look(now)?;
        }
        Ok(false)
    }

    /// Stores a batch, and those that are waiting right behind it, in one transaction.
    fn publish(
        &mut self,
        batch: Vec<PublishRequest<Json>>,
        reply: Reply<Published>,
        waiting: &mut VecDeque<Command>,
    ) -> Result<(), BackendError> {
        self.check_place()?;
        let mut count = batch.len();
        let mut group = vec![(batch, reply)];
        while let Some(Command::Publish { batch, .. }) = waiting.front()
            && count + batch.len() <= GROUP_MAX
            && let Some(Command::Publish { batch, reply }) = waiting.pop_front()
        {
            count += batch.len();
            group.push((batch, reply));
        }
        let batches: Vec<_> = group.iter().map(|(batch, _)| batch.as_slice()).collect();
        match self.store_batches(&batches) {
            Ok(results) => {
                for ((_, reply), result) in group.into_iter().zip(results) {
                    // A caller that no longer waits has dropped the call.
                    let _ = reply.send(Ok(result));
                }
                Ok(())
            }
            // The file may have no room for one of them, or refuse it, so each is tried on its own.
            Err(_) if group.len() > 1 => group.into_iter().try_for_each(|(batch, reply)| {
                self.answer(reply, |it| {
                    let results = it.store_batches(&[&batch])?;
                    Ok(results.into_iter().flatten().collect())
                })
            }),
            Err(error) => group
                .into_iter()
                .try_for_each(|(_, reply)| self.fail(reply, &error)),
        }
    }

    fn store_batches(
        &mut self,
        batches: &[&[PublishRequest<Json>]],
    ) -> Result<Vec<Published>, rusqlite::Error> {
        let written = self.store.write(|writing| {
            // What others inserted earlier comes first.
            writing.take_in()?;
            batches
                .iter()
                .map(|batch| {
                    batch
                        .iter()
                        .map(|request| writing.publish(request))
                        .collect()
                })
                .collect()
        })?;
        Ok(self.announce(written))
    }

    fn renew(&mut self, topic: &Topic, epoch: u64) -> Result<(), rusqlite::Error> {
        let written = self.store.write(|writing| writing.renew(topic, epoch))?;
        self.announce(written);
        Ok(())
    }

    fn cursors(&mut self, calls: &[CursorCall]) -> Result<Vec<CursorAnswer>, rusqlite::Error> {
        let written = self
            .store
            .write(|writing| calls.iter().map(|call| writing.cursor(call)).collect())?;
        Ok(self.announce(written))
    }

    fn broadcast(&mut self, message: &str) -> Result<(), rusqlite::Error> {
        self.store
            .with_patience(PATIENCE, |store| store.broadcast(message))?;
        self.neighbours.wake();
        Ok(())
    }

    /// Tells the feed and the neighbours what was written.
    fn announce<T>(&mut self, written: Written<T>) -> T {
        self.refusals.log(&written.refused);
        for publication in &written.fresh {
            self.trimming.has_grown(&publication.topic);
        }
        if written.seq_before == self.cursor {
            self.cursor = written.seq;
            for publication in &written.fresh {
                if self.interest.covers(&publication.topic) {
                    self.feed.publication(publication.clone());
                }
            }
        } else {
            // Others wrote before: theirs comes first, and what was just written is read along with it. A failure to
            // read doesn't undo what was written, and will show again soon.
            self.is_behind |= self.read_on().is_err();
        }
        if !written.fresh.is_empty() {
            self.neighbours.wake();
        }
        written.value
    }

    /// Passes on to the feed what is new in the file.
    fn read_on(&mut self) -> Result<(), rusqlite::Error> {
        if self.interest.is_empty() {
            self.cursor = self.store.seq()?;
            return Ok(());
        }
        loop {
            let interest = &self.interest;
            let news = self
                .store
                .news(self.cursor, |topic| interest.covers(topic))?;
            self.cursor = news.seq;
            for publication in news.publications {
                self.feed.publication(publication);
            }
            if news.has_gap {
                self.feed.missed();
            }
            if !news.is_more {
                return Ok(());
            }
        }
    }

    /// Checks whether others have written, and does some of the work that can be done at any time.
    fn look(&mut self, now: Instant) -> Result<(), BackendError> {
        let data_version = self.quietly(|it| it.store.data_version())?;
        let mut has_changed = data_version.is_some_and(|version| version != self.data_version);
        if let Some(version) = data_version {
            self.data_version = version;
        }
        if has_changed || self.is_behind {
            has_changed |= self.quietly(Self::look_closer)?.unwrap_or(false);
        }
        if self.next_check <= now {
            self.next_check = now + CHECK_EVERY;
            self.check_place()?;
            self.quietly(Self::shorten_wal)?;
        }
        if self.trimming.is_due(now) {
            self.quietly(|it| {
                it.store
                    .with_patience(PATIENCE, |store| it.trimming.step(now, store))
            })?;
        }
        self.wait = next_wait(self.wait, has_changed);
        self.next_look = Instant::now() + self.wait;
        Ok(())
    }

    /// Tells the feed what is new, and takes in some of what others inserted. Returns whether there may be more of it.
    fn look_closer(&mut self) -> Result<bool, rusqlite::Error> {
        self.is_behind = true;
        self.broadcasts.read(&self.store, &self.feed)?;
        self.read_on()?;
        if self.store.has_raw_rows()? {
            let written = self
                .store
                .with_patience(PATIENCE, |store| store.write(|writing| writing.take_in()))?;
            self.is_behind = false;
            let is_more = self.announce(written);
            self.is_behind |= is_more;
        } else {
            self.is_behind = false;
        }
        Ok(self.is_behind)
    }

    fn shorten_wal(&mut self) -> Result<(), rusqlite::Error> {
        if self.store.wal_bytes() <= WAL_BYTES_MAX {
            self.warned_of_wal = false;
            return Ok(());
        }
        let is_done = self
            .store
            .with_patience(PATIENCE, |store| store.checkpoint())?;
        if !is_done && !self.warned_of_wal {
            self.warned_of_wal = true;
            tracing::warn!(
                "{}: its -wal file has more than {WAL_BYTES_MAX} bytes, because a program has been reading for long; \
                 it shrinks when that transaction ends",
                self.backend
            );
        }
        Ok(())
    }

    fn check_place(&self) -> Result<(), BackendError> {
        if self.store.is_in_place() {
            Ok(())
        } else {
            Err(Fault::moved(&self.backend).error)
        }
    }

    /// Answers a call. An error that ends the link is also returned to the thread.
    fn answer<T>(
        &mut self,
        reply: Reply<T>,
        work: impl FnOnce(&mut Self) -> Result<T, rusqlite::Error>,
    ) -> Result<(), BackendError> {
        match work(self) {
            Ok(value) => {
                let _ = reply.send(Ok(value));
                Ok(())
            }
            Err(error) => self.fail(reply, &error),
        }
    }

    fn fail<T>(&self, reply: Reply<T>, error: &rusqlite::Error) -> Result<(), BackendError> {
        let fault = Fault::of(&self.backend, error);
        let _ = reply.send(Err(fault.error.clone()));
        if fault.is_loss {
            Err(fault.error)
        } else {
            Ok(())
        }
    }

    /// Does work that nobody waits for. If it fails for now, it is done later.
    fn quietly<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, BackendError> {
        match work(self) {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_busy(&error) => Ok(None),
            Err(error) => {
                let fault = Fault::of(&self.backend, &error);
                if fault.is_loss {
                    return Err(fault.error);
                }
                self.refusals.log_fault(&fault.error);
                Ok(None)
            }
        }
    }
}
