//! Subscribing and unsubscribing on the server.

use std::sync::atomic::Ordering;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tidegate_core::topic::{Pattern, Topic};

use super::interest::Change;
use super::layout::{Layout, glob, glob_of_prefix};
use super::link::{Link, lock};
use crate::backend::BackendError;

/// The most channels that one command names.
const CHANNELS_MAX: usize = 1_000;

impl Link {
    /// Follows patterns, and returns once the servers have confirmed.
    pub(super) async fn follow(&self, patterns: &[Pattern]) -> Result<(), BackendError> {
        let _turn = self.following.lock().await;
        self.check()?;
        let change = lock(&self.interest).add(&self.shared.layout, patterns);
        self.apply(&change, true).await
    }

    /// Stops following patterns.
    pub(super) async fn unfollow(&self, patterns: &[Pattern]) -> Result<(), BackendError> {
        let _turn = self.following.lock().await;
        self.check()?;
        let change = lock(&self.interest).remove(&self.shared.layout, patterns);
        self.apply(&change, false).await
    }

    /// Subscribes to what is needed whatever is followed: broadcasts, our own probes, raw messages, and notices of who took them in.
    pub(super) async fn subscribe_own(&self) -> Result<(), BackendError> {
        let (layout, prefix) = (&self.shared.layout, &self.shared.address.prefix);
        for (name, node, partitions) in self.owned()? {
            lock(&self.probed).push((name, partitions[0]));
            let mut channels = vec![layout.probe(partitions[0], self.id)];
            if partitions.contains(&Layout::broadcast_partition()) {
                channels.push(layout.broadcast());
            }
            let mut globs = Vec::new();
            if self.taking.is_some() {
                channels.extend(partitions.iter().map(|owned| layout.taken(*owned)));
                globs.extend((!prefix.is_empty()).then(|| glob_of_prefix(prefix)));
            }
            let plain = if layout.is_sharded() {
                node.send_sharded("SSUBSCRIBE", &channels)
                    .await
                    .map_err(|error| self.denied(&error))?;
                Vec::new()
            } else {
                channels
            };
            subscribe(&node.pushes, &plain, &globs, true)
                .await
                .map_err(|error| self.denied(&error))?;
            if !layout.is_sharded() {
                self.check_globs(&node.pushes).await?;
            }
        }
        Ok(())
    }

    /// Finds out which globs for feeds this user may subscribe to. An ACL compares a glob literally, as a name. So a user must be allowed
    /// either all channels, or exactly the one glob that selects all feeds.
    async fn check_globs(&self, pushes: &MultiplexedConnection) -> Result<(), BackendError> {
        let prefix = self.shared.layout.feed_prefix();
        let any = glob_of_prefix(&format!("{prefix}{:x}:", self.id));
        let all = glob_of_prefix(&prefix);
        match self.try_glob(pushes, any).await {
            Err(error) if is_denied(&error) => {}
            answer => return answer.map_err(|error| self.failed(&error)),
        }
        self.follows_all_feeds.store(true, Ordering::Relaxed);
        let answer = self.try_glob(pushes, all).await;
        answer.map_err(|error| self.denied(&error))
    }

    async fn try_glob(&self, pushes: &MultiplexedConnection, glob: String) -> RedisResult<()> {
        subscribe(pushes, &[], std::slice::from_ref(&glob), true).await?;
        subscribe(pushes, &[], &[glob], false).await
    }

    /// The error for a denied channel, with what to do, because Redis doesn't name the channel.
    fn denied(&self, error: &RedisError) -> BackendError {
        let failed = self.failed(error);
        if !is_denied(error) {
            return failed;
        }
        let (namespace, prefix) = (&self.shared.address.namespace, &self.shared.address.prefix);
        let raw = match prefix.as_str() {
            "" => "allchannels".to_owned(),
            prefix => format!(
                "&{prefix}* &{namespace}.* &{}",
                glob_of_prefix(&self.shared.layout.feed_prefix())
            ),
        };
        BackendError::Refused {
            backend: self.name().to_owned(),
            reason: format!(
                "{error}; let somebody who may run: ACL SETUSER ... ~{namespace}:* {raw} (the last of them letter by letter, because a glob is a name to an ACL)"
            ),
        }
    }

    /// If raw channels have no prefix, subscribes to those of what is followed, each on the server that owns it.
    async fn apply_raw(&self, change: &Change, joins: bool) -> Result<(), BackendError> {
        if self.taking.is_none() || !self.shared.address.prefix.is_empty() {
            return Ok(());
        }
        let layout = &self.shared.layout;
        let globs: Vec<String> = change.wild.iter().map(|wild| glob("", wild)).collect();
        for (_, node, partitions) in self.owned()? {
            let is_owned = |topic: &&Topic| partitions.contains(&layout.partition(topic.as_str()));
            let owned = change.exact.iter().filter(is_owned);
            let channels: Vec<String> = owned.map(Topic::to_string).collect();
            subscribe(&node.pushes, &channels, &globs, joins)
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Subscribes or unsubscribes as a change requires. If a server refuses, it is unknown what is followed, so the link is lost.
    async fn apply(&self, change: &Change, joins: bool) -> Result<(), BackendError> {
        let applied = if self.shared.layout.is_sharded() {
            self.apply_sharded(change, joins).await
        } else {
            self.apply_single(change, joins).await
        };
        let applied = match applied {
            Ok(()) => self.apply_raw(change, joins).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &applied {
            self.lose(error.clone());
        }
        applied
    }

    async fn apply_single(&self, change: &Change, joins: bool) -> Result<(), BackendError> {
        let layout = &self.shared.layout;
        let (_, node) = self.owner(0)?;
        let channels: Vec<String> = change
            .exact
            .iter()
            .map(|topic| layout.feed(topic))
            .collect();
        let prefix = layout.feed_prefix();
        let globs: Vec<String> = if self.follows_all_feeds.load(Ordering::Relaxed) {
            let is_needed = lock(&self.interest).is_any_wild();
            let changes = !change.wild.is_empty() && is_needed == joins;
            changes
                .then(|| glob_of_prefix(&prefix))
                .into_iter()
                .collect()
        } else {
            change.wild.iter().map(|wild| glob(&prefix, wild)).collect()
        };
        subscribe(&node.pushes, &channels, &globs, joins)
            .await
            .map_err(|error| self.failed(&error))
    }

    /// Returns whether we asked to leave a sharded channel that a server says we have left. Each request is answered, even if the call that
    /// made it was dropped, and the same request may be made again before that.
    pub(super) fn has_left(&self, channel: &str) -> bool {
        let mut leaving = lock(&self.leaving);
        let Some(requests) = leaving.get_mut(channel) else {
            return false;
        };
        *requests -= 1;
        if *requests == 0 {
            leaving.remove(channel);
        }
        true
    }

    async fn apply_sharded(&self, change: &Change, joins: bool) -> Result<(), BackendError> {
        let layout = &self.shared.layout;
        for (_, node, partitions) in self.owned()? {
            let concerned = partitions
                .iter()
                .filter(|owned| change.partitions.contains(owned));
            let channels: Vec<String> = concerned.map(|owned| layout.feed_of(*owned)).collect();
            if !joins {
                let mut leaving = lock(&self.leaving);
                for channel in &channels {
                    *leaving.entry(channel.clone()).or_default() += 1;
                }
            }
            let command = if joins { "SSUBSCRIBE" } else { "SUNSUBSCRIBE" };
            node.send_sharded(command, &channels)
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }
}

/// Whether a user lacks a right.
fn is_denied(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
}

/// Subscribes a connection to channels and globs, or unsubscribes it.
pub(super) async fn subscribe(
    connection: &MultiplexedConnection,
    channels: &[String],
    globs: &[String],
    joins: bool,
) -> RedisResult<()> {
    let mut connection = connection.clone();
    for channels in channels.chunks(CHANNELS_MAX) {
        if joins {
            connection.subscribe(channels).await?;
        } else {
            connection.unsubscribe(channels).await?;
        }
    }
    for globs in globs.chunks(CHANNELS_MAX) {
        if joins {
            connection.psubscribe(globs).await?;
        } else {
            connection.punsubscribe(globs).await?;
        }
    }
    Ok(())
}
