//! Topics in a PostgreSQL database.
//!
//! Publications are rows of one table, which may belong to an application and into which it may insert rows itself. Readers follow the
//! order of a column, `seq`, which is assigned under a lock that is released only when the rows are visible. So no row ever becomes visible
//! behind a reader's position, in whatever order transactions commit. Rows inserted by others have no `seq` until a server takes them in,
//! after their commit; an open transaction delays only its own rows.

mod address;
mod aside;
mod broadcast;
mod cursors;
mod errors;
mod following;
mod held;
mod intake;
mod link;
mod list;
mod listen;
mod names;
mod publish;
mod queue;
mod read;
mod rights;
mod rules;
mod schema;
mod sequence;
mod statements;
mod tls;
mod upkeep;

use std::sync::{Arc, PoisonError, RwLock};

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, later_epoch};
use tidegate_core::random::Random;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

use super::kept::Kept;
use super::{Answer, Backend, BackendError, Feed, Keep};
use crate::Json;
use address::Address;
use held::{Cancel, Held};
use link::Link;
use listen::Reader;

/// A PostgreSQL database that several servers share.
///
/// Its address is a libpq URL (`postgres://user:password@host:port/database`), with these additional options:
///
/// | option | default | |
/// |---|---|---|
/// | `table` | `pubsub_events` | the table, or `schema.table` |
/// | `poll_ms` | 100 | how often to look for inserted rows, and for what no notification announced |
/// | `stall_ms` | 30000 | how long a publication stays in the table at least: a server that was stalled for longer may have missed some, and compares |
/// | `timeout_ms` | 3000 | how long the server may take to answer |
/// | `migrate` | true | `false`: add nothing to the database, and report what is missing |
/// | `sslmode` | `prefer` | `require` encrypts; `verify-full` also checks who the server is |
/// | `sslrootcert` | | a PEM file of the authorities to trust, instead of the system's |
#[derive(Debug)]
pub struct Postgres {
    address: Arc<Address>,
    keep: Arc<Kept>,
    state: RwLock<State>,
    /// Held while the link is opened or closed.
    running: tokio::sync::Mutex<Running>,
}

#[derive(Debug)]
enum State {
    NotOpen,
    Open(Arc<Link>),
    Closed,
}

/// The tasks of a link. They are aborted when this is dropped.
#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
}

impl Postgres {
    /// The database at `url`. Nothing is connected before [`Backend::open`].
    ///
    /// # Errors
    /// If `url` is not the address of a PostgreSQL database, or an option is wrong.
    pub fn new(url: &str, keep: Keep) -> Result<Self, BackendError> {
        Ok(Self {
            address: Arc::new(Address::parse(url)?),
            keep: Arc::new(Kept::new(keep)),
            state: RwLock::new(State::NotOpen),
            running: tokio::sync::Mutex::default(),
        })
    }

    /// The SQL that opening the backend would run first, to add what is missing; `None` if nothing is.
    ///
    /// # Errors
    /// If the database can't be reached or used.
    pub async fn migration(&self) -> Result<Option<String>, BackendError> {
        let mut tasks = JoinSet::new();
        // The link is lost with either of its two connections.
        let (link, _reader) = self.connect(&mut tasks).await?;
        let migration = schema::missing(&link).await;
        link.give_up();
        while tasks.join_next().await.is_some() {}
        migration
    }

    fn link(&self) -> Result<Arc<Link>, BackendError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let backend = self.address.place.clone();
        match &*state {
            State::Open(link) => link.check().map(|()| Arc::clone(link)),
            State::Closed => Err(BackendError::Closed { backend }),
            State::NotOpen => Err(BackendError::Unreachable {
                backend,
                reason: "it has not been opened".into(),
            }),
        }
    }

    fn set_state(&self, new: State) -> State {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, new)
    }

    /// Connects twice: for calls, and for the reader of the feed.
    async fn connect(
        &self,
        tasks: &mut JoinSet<()>,
    ) -> Result<(Arc<Link>, tokio_postgres::Client), BackendError> {
        let address = &self.address;
        let wrong = |reason| BackendError::Refused {
            backend: address.place.clone(),
            reason,
        };
        let tls = tls::connector(&address.trust).map_err(wrong)?;
        let connect = || async {
            let connecting = address.config.connect(tls.clone());
            match tokio::time::timeout(address.timeout, connecting).await {
                Ok(connected) => {
                    connected.map_err(|error| errors::backend_error(&address.place, &error))
                }
                Err(_) => Err(BackendError::Unreachable {
                    backend: address.place.clone(),
                    reason: format!("no connection within {} ms", address.timeout.as_millis()),
                }),
            }
        };
        let ((calls, calls_connection), (reader, reader_connection)) =
            tokio::try_join!(connect(), connect())?;
        let calls_cancel = Cancel::new(&calls, tls.clone());
        let reader_cancel = Cancel::new(&reader, tls);
        let (address, keep) = (Arc::clone(address), Arc::clone(&self.keep));
        let link = Arc::new(Link::new(address, keep, calls, calls_cancel.clone()));
        for (connection, cancel) in [
            (calls_connection, calls_cancel),
            (reader_connection, reader_cancel),
        ] {
            let held = Held::new(&link, connection, cancel);
            tasks.spawn(link::drive(Arc::clone(&link), held));
        }
        Ok((link, reader))
    }

    async fn open_anew(&self, feed: Feed) -> Result<(), BackendError> {
        let mut running = self.running.lock().await;
        // An error of the earlier link has been reported already.
        let _ = self.end(State::NotOpen, &mut running).await;
        let mut tasks = JoinSet::new();
        let (link, client) = self.connect(&mut tasks).await?;
        schema::prepare(&link, self.address.migrate).await?;
        link.agree_on_keep().await?;
        let reader = Reader::start(&link, client, feed.clone()).await?;
        link.set_feed(feed)?;
        tasks.spawn(reader.run());
        tasks.spawn(upkeep::announce(Arc::clone(&link)));
        tasks.spawn(upkeep::keep_up(Arc::clone(&link)));
        running.tasks = tasks;
        self.set_state(State::Open(link));
        Ok(())
    }

    /// Ends the current link, and waits until its tasks have ended. Returns why it was lost before, if it was.
    async fn end(&self, state: State, running: &mut Running) -> Result<(), BackendError> {
        let is_opened_anew = matches!(state, State::NotOpen);
        let State::Open(link) = self.set_state(state) else {
            return Ok(());
        };
        let stood = link.check();
        if is_opened_anew && stood.is_ok() {
            link.give_up_unanswered();
        } else {
            link.give_up();
        }
        running.tasks.shutdown().await;
        stood
    }
}

impl Backend for Postgres {
    fn describe(&self) -> String {
        self.address.place.clone()
    }

    fn open(&self, feed: Feed) -> Answer<'_, ()> {
        Box::pin(self.open_anew(feed))
    }

    fn publish<'a>(
        &'a self,
        batch: &'a [PublishRequest<Json>],
    ) -> Answer<'a, Vec<Result<Position, PublishError>>> {
        Box::pin(async move { publish::publish(&*self.link()?, batch).await })
    }

    fn follow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        // Publications from now on come after the page that is being read, or cause it to be read again.
        Box::pin(async move {
            self.link()?.following_mut().add(patterns);
            Ok(())
        })
    }

    fn unfollow<'a>(&'a self, patterns: &'a [Pattern]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.link()?.following_mut().remove(patterns);
            Ok(())
        })
    }

    fn read<'a>(&'a self, topic: &'a Topic, since: Option<Position>) -> Answer<'a, Excerpt<Json>> {
        Box::pin(async move { read::read(&*self.link()?, topic, since).await })
    }

    fn list<'a>(&'a self, pattern: &'a Pattern) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { list::list(&*self.link()?, pattern).await })
    }

    fn list_page<'a>(&'a self, page: &'a Page) -> Answer<'a, Vec<Excerpt<Json>>> {
        Box::pin(async move { list::list_page(&*self.link()?, page).await })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            let link = self.link()?;
            let new = later_epoch(&mut Random::new(crate::random_seed())).cast_signed();
            link.query(
                &link.statements().renew,
                &[
                    (&topic.as_str(), Type::TEXT),
                    (&i64::try_from(epoch).unwrap_or(-1), Type::INT8),
                    (&new, Type::INT8),
                ],
            )
            .await?;
            link.news.notify_one();
            link.announcement.notify_one();
            Ok(())
        })
    }

    fn migration(&self) -> Answer<'_, Option<String>> {
        Box::pin(Self::migration(self))
    }

    fn cursors<'a>(&'a self, calls: &'a [CursorCall]) -> Answer<'a, Vec<CursorAnswer>> {
        Box::pin(async move { cursors::keep(&*self.link()?, calls).await })
    }

    fn broadcast<'a>(&'a self, message: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.link()?.broadcast(message).await })
    }

    fn broadcast_bytes_max(&self) -> Option<usize> {
        Some(broadcast::BYTES_MAX)
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.link()?.query("SELECT 1", &[]).await?;
            Ok(())
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut running = self.running.lock().await;
            self.end(State::Closed, &mut running).await
        })
    }
}
