//! The shards of a hub, and which of them gets what.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::hub::{ServerConfig, ServerHub, UplinkCounts};
use tidegate_core::presence::NodeId;
use tidegate_core::random::Random;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::{Lookup, Page, UplinkConfig};
use tokio::sync::{oneshot, watch};

use super::{BackendHealth, Bodies, Config, Counts, presence};
use crate::backend::{Backend, Memory, deal};
use crate::error::Stopped;
use crate::shard::{
    Command, CommandSender, DisconnectCommand, Shard, Snapshot, SocketConfig, TopicSeen, Totals,
};
use crate::uplink::{Link, Uplink};

/// The threads of a hub. Each has connections of its own, and copies of the topics that those follow.
pub(super) struct Shards {
    senders: Box<[CommandSender]>,
    /// The topics, if they live in this process and have several shards.
    topics: Option<Memory>,
    /// The health of the backend, if topics live in one.
    health: Option<watch::Receiver<BackendHealth>>,
    hashing: RandomState,
    /// Takes turns among shards with equally many connections.
    turn: AtomicUsize,
    /// Set when all are told to stop, which they do one after the other.
    is_stopping: AtomicBool,
}

impl Shards {
    /// Starts as many shards as `config` says. The receiver returned with them ends once all have ended and the backend is closed.
    ///
    /// # Errors
    /// When the system gives no thread or no way to wait for sockets.
    pub(super) fn start(
        config: &Config,
        backend: Option<Arc<dyn Backend>>,
        sockets: SocketConfig,
        bodies: &Arc<Bodies>,
    ) -> io::Result<(Self, watch::Receiver<()>)> {
        let count = config.shards.get();
        let (alive, ending) = watch::channel(());
        let topics = (backend.is_none() && count > 1)
            .then(|| Memory::for_hub(&config.server.hub, config.server.cursors, count));
        let backends = match (backend, &topics) {
            (Some(backend), _) if count > 1 => deal(backend, count, config.shares_presence),
            (Some(backend), _) => vec![backend],
            (None, _) => Vec::new(),
        };
        let new_shard = |index: usize| {
            let server = server_config(config, index);
            let backend = backends.get(index).map(|backend| &**backend);
            let hub = match (backend, &topics) {
                (Some(backend), _) => {
                    presence::server_hub(server, uplink_config(config, index), backend)
                }
                (None, Some(topics)) => {
                    presence::server_hub(server, here_config(config, index), topics)
                }
                (None, None) => ServerHub::new(server),
            };
            Shard::new(hub, sockets, Arc::clone(bodies), alive.clone())
        };
        let shards = (0..count).map(new_shard).collect::<io::Result<Vec<_>>>()?;
        let (shards, senders): (Vec<Shard>, Vec<CommandSender>) = shards.into_iter().unzip();
        let (uplinks, health) = uplinks(config, &senders, backends, topics.as_ref(), alive)?;
        let shards_and_uplinks = shards.into_iter().zip(uplinks);
        for (shard, uplink) in shards_and_uplinks {
            shard.start(uplink)?;
        }
        let shards = Self {
            senders: senders.into(),
            topics,
            health,
            hashing: RandomState::new(),
            turn: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
        };
        Ok((shards, ending))
    }

    /// The health of the backend, now and as it changes.
    pub(super) fn health(&self) -> Option<watch::Receiver<BackendHealth>> {
        self.health.clone()
    }

    /// The shard that publications and presences of a topic go to: always the same one, so that they keep their order.
    ///
    /// # Errors
    /// When the hub is stopping.
    pub(super) fn of(&self, topic: &Topic) -> Result<&CommandSender, Stopped> {
        self.by_hash(self.hashing.hash_one(topic))
    }

    /// The shard for a lookup: always the same one for equal lookups, so that those at the same time share a request.
    ///
    /// # Errors
    /// When the hub is stopping.
    pub(super) fn for_lookup(&self, lookup: &Lookup) -> Result<&CommandSender, Stopped> {
        match lookup {
            Lookup::Latest(pattern) | Lookup::Page(Page { pattern, .. }) => {
                self.by_hash(self.hashing.hash_one(pattern))
            }
            Lookup::History { topic, .. } => self.of(topic),
        }
    }

    fn by_hash(&self, hash: u64) -> Result<&CommandSender, Stopped> {
        #[expect(clippy::cast_possible_truncation, reason = "it is less than a usize")]
        let index = (hash % self.senders.len() as u64) as usize;
        self.check()?;
        Ok(&self.senders[index])
    }

    /// The shard with the fewest connections.
    ///
    /// # Errors
    /// When the hub is stopping.
    pub(super) fn least_loaded(&self) -> Result<&CommandSender, Stopped> {
        self.check()?;
        let count = self.senders.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|index| &self.senders[turn.wrapping_add(index) % count]);
        in_turn
            .min_by_key(|sender| sender.connections())
            .ok_or(Stopped)
    }

    fn check(&self) -> Result<(), Stopped> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        Ok(())
    }

    /// Asks the clients of all shards to connect elsewhere.
    pub(super) fn drain(&self) {
        self.send_to_all(|| Command::Drain);
    }

    /// Stops all shards.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.send_to_all(|| Command::Stop);
    }

    fn send_to_all(&self, command: impl Fn() -> Command) {
        for sender in &self.senders {
            // A shard that has stopped already needs no command.
            let _ = sender.send(command());
        }
    }

    /// Up to `most` topics, the most recently touched. A topic that several shards have is reported as seen by the one that heard of it
    /// last, with the subscribers of all.
    pub(super) async fn survey(&self, most: usize) -> Result<Vec<TopicSeen>, Stopped> {
        let survey = async |sender: &CommandSender| {
            let (reply, answer) = oneshot::channel();
            sender.send(Command::Survey { most, reply })?;
            answer.await.map_err(|_| Stopped)
        };
        self.check()?;
        if most == 0 {
            // A caller that only polls the totals needs no pass over the topics.
            return Ok(Vec::new());
        }
        let mut by_topic: BTreeMap<Topic, TopicSeen> = BTreeMap::new();
        for seen in try_join_all(self.senders.iter().map(survey)).await? {
            for topic in seen {
                let known = by_topic.entry(topic.topic.clone());
                known
                    .and_modify(|known| {
                        let subscribers = known.subscribers + topic.subscribers;
                        let lag = known.lag.max(topic.lag);
                        if topic.idle < known.idle {
                            known.clone_from(&topic);
                        }
                        known.subscribers = subscribers;
                        known.lag = lag;
                    })
                    .or_insert(topic);
            }
        }
        let mut all: Vec<TopicSeen> = by_topic.into_values().collect();
        all.sort_by_key(|seen| seen.idle);
        all.truncate(most);
        Ok(all)
    }

    /// Makes calls to where cursors are kept, while topics live in this process.
    pub(super) async fn cursors(
        &self,
        calls: Vec<CursorCall>,
    ) -> Result<Vec<CursorAnswer>, Stopped> {
        self.check()?;
        if let Some(topics) = &self.topics {
            return Ok(topics.ask_cursors(&calls));
        }
        let (reply, answer) = oneshot::channel();
        self.senders[0].send(Command::Cursors { calls, reply })?;
        answer.await.map_err(|_| Stopped)
    }

    /// Ends the connections of a user. Returns how many there were, and whether other servers have been told, if they are to be (`tells`),
    /// or there are none.
    pub(super) async fn disconnect(
        &self,
        user: &Arc<str>,
        tells: bool,
    ) -> Result<(usize, bool), Stopped> {
        self.check()?;
        let id = crate::random_seed();
        let (mut sent, is_told) = tells.then(oneshot::channel).unzip();
        let mut answers = Vec::new();
        // The shard that tells others comes last. Otherwise, its message could reach another shard before this command, which would then
        // find no connection to count.
        for (index, sender) in self.senders.iter().enumerate().rev() {
            let (reply, answer) = oneshot::channel();
            let end = DisconnectCommand::End {
                id,
                user: Arc::clone(user),
                sent: sent.take_if(|_| index == 0),
                reply,
            };
            sender.send(end.into())?;
            answers.push(answer);
        }
        let mut here = 0;
        for answer in answers {
            here += answer.await.map_err(|_| Stopped)?;
        }
        let is_told = match is_told {
            Some(is_told) => is_told.await.is_ok(),
            None => self.health.is_none(),
        };
        Ok((here, is_told))
    }

    /// Whether any of them has connections from outside this process.
    pub(super) async fn have_clients(&self) -> Result<bool, Stopped> {
        let snapshots = self.snapshots().await?;
        Ok(snapshots.iter().any(|snapshot| snapshot.has_clients))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Stopped> {
        let snapshot = async |sender: &CommandSender| {
            let (reply, answer) = oneshot::channel();
            sender.send(Command::Snapshot { reply })?;
            answer.await.map_err(|_| Stopped)
        };
        self.check()?;
        try_join_all(self.senders.iter().map(snapshot)).await
    }

    /// How much all of them hold.
    pub(super) async fn counts(&self) -> Result<(Counts, Totals), Stopped> {
        let mut counts = Counts::default();
        let mut totals = Totals::default();
        for snapshot in self.snapshots().await? {
            counts.hub.topics += snapshot.counts.topics;
            counts.hub.subscriptions += snapshot.counts.subscriptions;
            counts.hub.gates += snapshot.counts.gates;
            counts.uplink.followed += snapshot.uplink.followed;
            counts.uplink.behind += snapshot.uplink.behind;
            counts.uplink.parked += snapshot.uplink.parked;
            counts.uplink.publishes += snapshot.uplink.publishes;
            counts.connections += snapshot.connections;
            totals.add(&snapshot.totals);
        }
        if let Some(topics) = &self.topics {
            // The topics of shards are copies, and their calls to each other are of no interest.
            counts.hub.topics = topics.topic_count();
            counts.uplink = UplinkCounts::default();
        }
        Ok((counts, totals))
    }
}

/// An uplink for each shard, and the health of the backend that they lead to.
type Uplinks = (Vec<Option<Uplink>>, Option<watch::Receiver<BackendHealth>>);

/// Each shard's uplink to where topics live; none if it owns them itself.
fn uplinks(
    config: &Config,
    senders: &[CommandSender],
    backends: Vec<Arc<dyn Backend>>,
    topics: Option<&Memory>,
    alive: watch::Sender<()>,
) -> io::Result<Uplinks> {
    if let Some(topics) = topics {
        let here = |sender: &CommandSender| {
            Some(Uplink::here(topics.share(), sender.clone(), alive.clone()))
        };
        return Ok((senders.iter().map(here).collect(), None));
    }
    if backends.is_empty() {
        return Ok((vec![None], None));
    }
    let links = senders
        .iter()
        .zip(backends)
        .map(|(commands, backend)| Link {
            backend,
            commands: commands.clone(),
            shares_presence: config.shares_presence,
        });
    let (uplinks, health) = Uplink::start(links.collect(), alive)?;
    Ok((uplinks.into_iter().map(Some).collect(), Some(health)))
}

/// The common configuration, with a seed and a node of each shard's own.
fn server_config(config: &Config, index: usize) -> ServerConfig {
    let mut server = config.server.clone();
    server.session.message_bytes_max = u64::try_from(config.message_bytes_max()).ok();
    server.waiting_bytes_max /= config.shards.get();
    if index > 0 {
        let mut random = Random::new(server.hub.seed.wrapping_add(index as u64));
        server.hub.seed = random.next_u64();
        server.presence.node = NodeId::new(random.next_u64());
    }
    server
}

fn uplink_config(config: &Config, index: usize) -> UplinkConfig {
    let seed = config.uplink.seed.wrapping_add(index as u64);
    UplinkConfig {
        seed,
        ..config.uplink.clone()
    }
}

/// Topics in this process answer at once, so no publish has to be repeated and needs a key.
fn here_config(config: &Config, index: usize) -> UplinkConfig {
    UplinkConfig {
        gives_keys: false,
        ..uplink_config(config, index)
    }
}
