//! The link, from its opening to its loss: the servers, the owners of the partitions, and commands to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::future::try_join_all;
use redis::{RedisError, Value};
use tidegate_core::random::Random;
use tokio::task::AbortHandle;

use super::address::Address;
use super::call::{Call, Form};
use super::error::{backend_error, server_error, unexpected};
use super::interest::Interest;
use super::layout::{Layout, Partition};
use super::node::{Node, NodeName};
use super::probe::Probes;
use super::taking::Taking;
use super::topology;
use crate::backend::kept::Kept;
use crate::backend::{BackendError, Feed, RefusedLog};
use crate::hub::Publication;

/// The most bytes and calls of one pipeline: few enough for an answer well within the time limit.
const PIPELINE_BYTES_MAX: usize = 4 * 1024 * 1024;
const PIPELINE_CALLS_MAX: usize = 512;

/// How often calls are sent again, to another server or in full, before the slots are considered to be in disorder.
const REDIRECTS_MAX: usize = 6;

/// What every link of a backend shares.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) layout: Layout,
    pub(super) keep: Kept,
    /// The source of new epochs and of the ids of links.
    pub(super) random: Mutex<Random>,
    /// The servers of a Cluster, as last found.
    pub(super) known: Mutex<Vec<NodeName>>,
    pub(super) has_warned_of_eviction: AtomicBool,
}

/// One link, from an opening to a loss. It is never repaired; the backend is opened anew instead.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    /// Distinguishes this link from all others.
    pub(super) id: u64,
    me: Weak<Link>,
    feed: Mutex<Option<Feed>>,
    ended: Mutex<Option<BackendError>>,
    servers: Mutex<Servers>,
    pub(super) interest: Mutex<Interest>,
    /// Serialises changes of the interest.
    pub(super) following: tokio::sync::Mutex<()>,
    /// The sharded channels that we asked to leave, with the number of answers to come.
    pub(super) leaving: Mutex<BTreeMap<String, u32>>,
    unreadable: AtomicBool,
    pub(super) refused: RefusedLog,
    pub(super) damaged: RefusedLog,
    pub(super) unwritten: RefusedLog,
    pub(super) probes: Probes,
    /// Each server, and the partition whose probes it is sent.
    pub(super) probed: Mutex<Vec<(NodeName, Partition)>>,
    /// The intakes, if this link takes in raw messages.
    pub(super) taking: Option<Arc<Taking>>,
    /// Whether the only glob for feeds that this user may subscribe to is the one for all of them.
    pub(super) follows_all_feeds: AtomicBool,
    /// The raw channels and globs that are subscribed to, with their servers.
    pub(super) raw: Mutex<BTreeSet<(NodeName, String)>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

#[derive(Default)]
struct Servers {
    nodes: BTreeMap<NodeName, Node>,
    /// The owner of each partition.
    owners: Vec<NodeName>,
}

/// Locks even after a panic of another holder: what the lock guards is consistent after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, takes_in: bool) -> Arc<Self> {
        let id = lock(&shared.random).next_u64();
        let taking = takes_in.then(|| Arc::new(Taking::new(&shared, id)));
        Arc::new_cyclic(|me| Self {
            shared,
            id,
            me: Weak::clone(me),
            feed: Mutex::new(None),
            ended: Mutex::new(None),
            servers: Mutex::new(Servers::default()),
            interest: Mutex::new(Interest::default()),
            following: tokio::sync::Mutex::new(()),
            leaving: Mutex::new(BTreeMap::new()),
            unreadable: AtomicBool::new(false),
            refused: RefusedLog::default(),
            damaged: RefusedLog::default(),
            unwritten: RefusedLog::default(),
            probes: Probes::default(),
            probed: Mutex::new(Vec::new()),
            taking,
            follows_all_feeds: AtomicBool::new(false),
            raw: Mutex::new(BTreeSet::new()),
            tasks: Mutex::new(Vec::new()),
        })
    }

    /// Has the feed told from now on.
    pub(super) fn start(&self, feed: Feed) -> Result<(), BackendError> {
        let mut place = lock(&self.feed);
        self.check()?;
        *place = Some(feed);
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.shared.address.name
    }

    /// Connects to the servers that own the partitions.
    pub(super) async fn connect(&self) -> Result<(), BackendError> {
        let owners = topology::owners(&self.shared)
            .await
            .map_err(|error| backend_error(self.name(), &error))?;
        let names: BTreeSet<&NodeName> = owners.iter().collect();
        try_join_all(names.into_iter().map(|name| self.node_named(name))).await?;
        lock(&self.servers).owners = owners;
        Ok(())
    }

    /// The connections to a server. They are made if there are none yet.
    async fn node_named(&self, name: &NodeName) -> Result<Node, BackendError> {
        self.check()?;
        if let Some(node) = lock(&self.servers).nodes.get(name) {
            return Ok(node.clone());
        }
        let info = topology::info_of(&self.shared.address, name);
        let timeout = self.shared.address.timeout;
        let node = Node::connect(&self.me, name, info, timeout)
            .await
            .map_err(|error| backend_error(self.name(), &error))?;
        let mut servers = lock(&self.servers);
        self.check()?;
        Ok(servers
            .nodes
            .entry(Arc::clone(name))
            .or_insert(node)
            .clone())
    }

    /// The server that owns a partition.
    pub(super) fn owner(&self, partition: Partition) -> Result<(NodeName, Node), BackendError> {
        self.check()?;
        let servers = lock(&self.servers);
        let owner = servers.owners.get(partition);
        let node =
            owner.and_then(|name| Some((Arc::clone(name), servers.nodes.get(name)?.clone())));
        node.ok_or_else(|| self.not_open())
    }

    /// The servers, each with the partitions that it owns.
    pub(super) fn owned(&self) -> Result<Vec<(NodeName, Node, Vec<Partition>)>, BackendError> {
        self.check()?;
        let servers = lock(&self.servers);
        let owned = servers.nodes.iter().map(|(name, node)| {
            let is_owned = |partition: &Partition| servers.owners.get(*partition) == Some(name);
            let partitions = self.shared.layout.partitions().filter(is_owned).collect();
            (Arc::clone(name), node.clone(), partitions)
        });
        Ok(owned
            .filter(|(_, _, partitions): &(_, _, Vec<_>)| !partitions.is_empty())
            .collect())
    }

    pub(super) fn owns(&self, name: &NodeName, partition: Partition) -> bool {
        lock(&self.servers).owners.get(partition) == Some(name)
    }

    /// Sends calls that all concern one partition, in order. The answers come in the same order.
    ///
    /// # Errors
    /// If the link is lost, or a server refuses for a reason that has nothing to do with an individual call.
    pub(super) async fn run(
        &self,
        partition: Partition,
        calls: &[Call],
    ) -> Result<Vec<Value>, BackendError> {
        let mut values = Vec::with_capacity(calls.len());
        let mut rest = calls;
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take(PIPELINE_CALLS_MAX).take_while(|call| {
                bytes += call.bytes();
                bytes <= PIPELINE_BYTES_MAX
            });
            let (now, later) = rest.split_at(count.count().max(1));
            values.extend(self.run_pipeline(partition, now).await?);
            rest = later;
        }
        Ok(values)
    }

    async fn run_pipeline(
        &self,
        partition: Partition,
        calls: &[Call],
    ) -> Result<Vec<Value>, BackendError> {
        let mut done: Vec<Option<Value>> = calls.iter().map(|_| None).collect();
        let (mut form, mut ask) = (Form::Short, None);
        for _ in 0..REDIRECTS_MAX {
            let open: Vec<usize> = (0..calls.len()).filter(|at| done[*at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let node = match &ask {
                Some(name) => self.node_named(name).await?,
                None => self.owner(partition)?.1,
            };
            let answers = node
                .run(open.iter().map(|at| &calls[*at]), form, ask.is_some())
                .await
                .map_err(|error| self.failed(&error))?;
            ask = None;
            let mut turn = None;
            for (at, value) in open.into_iter().zip(answers) {
                match Turn::of(&value) {
                    None => done[at] = Some(value),
                    Some(new) => turn = turn.or(Some(new)),
                }
            }
            match turn {
                None => {}
                Some(Turn::Full) => form = Form::Full,
                Some(Turn::Ask(name)) => ask = Some(self.resolved(partition, &name)?),
                Some(Turn::Moved(name)) => self.moved(partition, &name).await?,
            }
        }
        let done: Option<Vec<Value>> = done.into_iter().collect();
        done.ok_or_else(|| BackendError::Unreachable {
            backend: self.name().to_owned(),
            reason: "its slots are moving".to_owned(),
        })
    }

    /// A redirection without a host means the server that sent it.
    fn resolved(&self, partition: Partition, name: &str) -> Result<NodeName, BackendError> {
        match name.strip_prefix(':') {
            Some(port) => {
                let (owner, _) = self.owner(partition)?;
                let host = owner.rsplit_once(':').map_or("", |(host, _)| host);
                Ok(format!("{host}:{port}").into())
            }
            None => Ok(name.into()),
        }
    }

    async fn moved(&self, partition: Partition, name: &str) -> Result<(), BackendError> {
        let name = self.resolved(partition, name)?;
        self.node_named(&name).await?;
        if let Some(owner) = lock(&self.servers).owners.get_mut(partition) {
            *owner = name;
        }
        Ok(())
    }

    /// The error of a whole pipeline. If it is due to the connection, the link is lost, too.
    pub(super) fn failed(&self, error: &RedisError) -> BackendError {
        let mapped = backend_error(self.name(), error);
        if error.is_io_error() || error.is_unrecoverable_error() {
            self.lose(mapped.clone());
        }
        mapped
    }

    /// The value that a call returned, if it is one.
    pub(super) fn value(&self, value: Option<Value>) -> Result<Value, BackendError> {
        match value {
            Some(Value::ServerError(error)) => Err(server_error(self.name(), &error)),
            Some(value) => Ok(value),
            None => Err(unexpected(self.name(), "an answer is missing")),
        }
    }

    /// Passes a publication on, if the link is open.
    pub(super) fn announce(&self, publication: Publication) {
        self.with_feed(|feed| feed.publication(publication));
    }

    /// Reports that something may have been missed, if the link is open.
    pub(super) fn missed(&self) {
        self.with_feed(Feed::missed);
    }

    /// Calls `tell` with the feed, if the link is open.
    pub(super) fn with_feed(&self, tell: impl FnOnce(&Feed)) {
        if let Some(feed) = lock(&self.feed).as_ref() {
            tell(feed);
        }
    }

    /// Returns whether this is the first unreadable message of the link.
    pub(super) fn first_unreadable(&self) -> bool {
        !self.unreadable.swap(true, Ordering::Relaxed)
    }

    /// Runs a task until the link ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task).abort_handle();
        let mut tasks = lock(&self.tasks);
        if lock(&self.ended).is_some() {
            handle.abort();
        } else {
            tasks.push(handle);
        }
    }

    pub(super) fn check(&self) -> Result<(), BackendError> {
        match lock(&self.ended).as_ref() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn not_open(&self) -> BackendError {
        BackendError::Unreachable {
            backend: self.name().to_owned(),
            reason: "it has not been opened".to_owned(),
        }
    }

    /// Marks the link as lost: everything ends, and the feed is told once.
    pub(super) fn lose(&self, error: BackendError) {
        if let Some(feed) = self.end(error.clone()) {
            feed.lost(error);
        }
    }

    /// Ends the connections and tasks. From now on, calls return `error`. Returns the feed, if this was the first end.
    pub(super) fn end(&self, error: BackendError) -> Option<Feed> {
        lock(&self.ended).get_or_insert(error);
        let feed = lock(&self.feed).take();
        *lock(&self.servers) = Servers::default();
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        feed
    }
}

/// What a server requests instead of answering.
enum Turn {
    Full,
    Ask(String),
    Moved(String),
}

impl Turn {
    fn of(value: &Value) -> Option<Self> {
        let Value::ServerError(error) = value else {
            return None;
        };
        let place = || Some(error.details()?.split(' ').nth(1)?.to_owned());
        match error.code() {
            "NOSCRIPT" => Some(Self::Full),
            "ASK" => Some(Self::Ask(place()?)),
            "MOVED" => Some(Self::Moved(place()?)),
            _ => None,
        }
    }
}
