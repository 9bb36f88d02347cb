//! Topics in an SQLite file, for several processes on one machine, without a server.

mod broadcasts;
mod command;
mod cursors;
mod fault;
mod interest;
mod neighbours;
mod pace;
mod reading;
mod refusals;
mod rows;
mod running;
mod schema;
mod store;
mod trimming;
mod worker;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;
use tokio::sync::oneshot;

use super::openings::Openings;
use super::{Answer, BROADCAST_BYTES_MAX, Backend, BackendError, Feed, Keep};
use crate::json::Json;
use command::{Command, Ending, Reply};
use fault::Fault;
use neighbours::Neighbours;
use running::Running;
use schema::SchemaError;
use store::Store;
use worker::Worker;

/// How long a publication waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of the write-ahead log, in bytes, from which it is made to shrink.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Topics in an SQLite file, which several processes on one machine share.
///
/// One thread owns the file. Publications that are waiting are stored in one transaction. Publications of this process
/// are delivered at once; those of other processes are found by checking the file for changes, every millisecond while
/// there are some and otherwise every 25 ms. Any program can publish, with any SQLite library, by inserting a row into
/// `pubsub_events (channel, data)`.
///
/// The file must be on a local disk: SQLite's shared memory doesn't work over a network.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    keep: Keep,
    bytes_max: Option<u64>,
    link: Mutex<Link>,
    openings: Openings,
}

#[derive(Debug)]
enum Link {
    NotOpened,
    Open(Running),
    Closed,
}

impl Sqlite {
    /// Topics in the file at `path`. Opening the backend creates the file, in a directory that must exist.
    ///
    /// # Errors
    /// If the path is empty or names a directory.
    pub fn new(path: impl AsRef<Path>, keep: Keep) -> Result<Self, BackendError> {
        let path = path.as_ref().to_owned();
        let wrong = |reason: &str| {
            Err(BackendError::Address {
                address: format!("sqlite:{}", path.display()),
                reason: reason.to_owned(),
            })
        };
        if path.as_os_str().is_empty() {
            return wrong("a path is expected, such as sqlite:/var/lib/tidegate/tidegate.db");
        }
        if path.is_dir() {
            return wrong("it is a directory; name a file in it");
        }
        Ok(Self {
            path,
            keep,
            bytes_max: None,
            link: Mutex::new(Link::NotOpened),
            openings: Openings::default(),
        })
    }

    /// Limits the size of the file, without its `-wal`, to `bytes_max`. What doesn't fit is refused as
    /// [`BackendError::Full`] until there is room again.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = Some(bytes_max);
        self
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SQL that opening would run on the file now, to migrate its tables; `None` if they need nothing. Opening runs
    /// it in one transaction, and logs it (with level `info` if the file already has a table of publications, otherwise
    /// `debug`). This blocks while it reads.
    ///
    /// # Errors
    /// If the file can't be read, or contains tables that can't be migrated.
    pub fn migration(&self) -> Result<Option<String>, BackendError> {
        let connect = || {
            if self.path.exists() {
                Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            } else {
                Connection::open_in_memory()
            }
        };
        let look = || schema::migration(&connect()?);
        let statements = look().map_err(|error| schema_error(&self.describe(), error))?;
        Ok((!statements.is_empty()).then(|| schema::script(&statements)))
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreachable(&self, reason: &str) -> BackendError {
        BackendError::Unreachable {
            backend: self.describe(),
            reason: reason.to_owned(),
        }
    }

    /// Sends a command to the thread, and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, BackendError> {
        let (reply, answer) = oneshot::channel();
        match &*self.link() {
            Link::NotOpened => return Err(self.unreachable("it has not been opened")),
            Link::Closed => {
                return Err(BackendError::Closed {
                    backend: self.describe(),
                });
            }
            // If the thread has ended, the command is dropped, and the reply with it.
            Link::Open(running) => _ = running.commands.send(command(reply)),
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable("the link was lost; open it again")),
        }
    }

    /// Installs a thread that has opened the file, unless another opening has begun since.
    fn install(&self, opening: u64, running: Running) -> Result<(), BackendError> {
        let mut link = self.link();
        if !self.openings.is_last(opening) {
            return Err(self.unreachable("it is being opened anew"));
        }
        *link = Link::Open(running);
        Ok(())
    }

    fn start(
        &self,
        feed: Feed,
    ) -> std::io::Result<(Running, oneshot::Receiver<Result<(), BackendError>>)> {
        let (commands, received) = channel();
        let (opened, is_opened) = oneshot::channel();
        let (alive, ended) = oneshot::channel();
        let opening = Opening {
            backend: self.describe(),
            path: self.path.clone(),
            keep: self.keep.clone(),
            bytes_max: self.bytes_max,
            feed,
            commands: commands.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("tidegate-sqlite".to_owned())
            .spawn(move || {
                let _alive: oneshot::Sender<()> = alive;
                opening.run(opened, &received)
            })?;
        let running = Running {
            commands,
            ended,
            thread: Some(thread),
        };
        Ok((running, is_opened))
    }
}

/// What the thread starts with.
struct Opening {
    backend: String,
    path: PathBuf,
    keep: Keep,
    bytes_max: Option<u64>,
    feed: Feed,
    commands: Sender<Command>,
}

impl Opening {
    fn run(
        self,
        opened: oneshot::Sender<Result<(), BackendError>>,
        commands: &Receiver<Command>,
    ) -> Ending {
        match self.open() {
            Ok(worker) => {
                // If the caller no longer waits for this, it sends the command to close.
                let _ = opened.send(Ok(()));
                worker.run(commands)
            }
            Err(error) => {
                let _ = opened.send(Err(error));
                Ending::Closed
            }
        }
    }

    fn open(self) -> Result<Worker, BackendError> {
        self.check_directory()?;
        let store = Store::open(&self.path, self.keep, self.bytes_max)
            .map_err(|error| schema_error(&self.backend, error))?;
        let neighbours = Neighbours::join(&self.path, self.commands);
        Worker::new(self.backend.clone(), store, self.feed, neighbours)
            .map_err(|error| Fault::of(&self.backend, &error).error)
    }

    fn check_directory(&self) -> Result<(), BackendError> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        if directory.is_dir() {
            return Ok(());
        }
        Err(BackendError::Unreachable {
            backend: self.backend.clone(),
            reason: format!("there is no directory {}; make it", directory.display()),
        })
    }
}

fn schema_error(backend: &str, error: SchemaError) -> BackendError {
    match error {
        SchemaError::Sqlite(error) => Fault::of(backend, &error).error,
        SchemaError::Unfit(reason) => BackendError::Refused {
            backend: backend.to_owned(),
            reason,
        },
    }
}

impl Backend for Sqlite {
    fn describe(&self) -> String {
        format!("sqlite file {}", self.path.display())
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        Box::pin(async move {
            let opening = self.openings.begin();
            let before = std::mem::replace(&mut *self.link(), Link::NotOpened);
            if let Link::Open(running) = before {
                // How the earlier link ended has been reported already.
                let _ = running.end().await;
            }
            let (running, is_opened) = self
                .start(feed)
                .map_err(|error| self.unreachable(&format!("no thread can be started: {error}")))?;
            match is_opened.await {
                Ok(Ok(())) => self.install(opening, running),
                Ok(Err(error)) => {
                    let _ = running.end().await;
                    Err(error)
                }
                Err(_) => running.end().await,
            }
        })
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        Box::pin(self.ask(|reply| Command::Publish {
            batch: batch.to_vec(),
            reply,
        }))
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(self.ask(|reply| Command::Follow {
            patterns: patterns.to_vec(),
            reply,
        }))
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(self.ask(|reply| Command::Unfollow {
            patterns: patterns.to_vec(),
            reply,
        }))
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(self.ask(move |reply| Command::Read {
            topic: topic.clone(),
            since,
            reply,
        }))
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(self.ask(|reply| Command::List {
            page: Page::all(pattern.clone()),
            reply,
        }))
    }

    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(self.ask(|reply| Command::List {
            page: page.clone(),
            reply,
        }))
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(self.ask(move |reply| Command::Renew {
            topic: topic.clone(),
            epoch,
            reply,
        }))
    }

    fn migration(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { Self::migration(self) })
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        Box::pin(self.ask(|reply| Command::Cursors {
            calls: calls.to_vec(),
            reply,
        }))
    }

    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        Box::pin(self.ask(|reply| Command::Broadcast {
            message: message.to_owned(),
            reply,
        }))
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        Some(BROADCAST_BYTES_MAX)
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.ask(|reply| Command::Probe { reply }))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.openings.begin();
            let before = std::mem::replace(&mut *self.link(), Link::Closed);
            match before {
                Link::Open(running) => running.end().await,
                Link::NotOpened | Link::Closed => Ok(()),
            }
        })
    }
}
