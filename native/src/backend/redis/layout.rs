//! The layout in Redis: the names of keys and channels, and the partitions of a Cluster.
//!
//! Processes of different versions must agree on everything here.

use tidegate_core::topic::{Pattern, Segment, Topic};

/// The number of partitions of a Cluster. Each is in a slot of its own, and they are evenly spread over the slots.
const PARTITIONS: usize = 64;

/// The number of slots of a Redis Cluster.
const SLOTS: usize = 16_384;

/// The number of a part of the topics. All keys and channels of a partition are in one slot.
pub(super) type Partition = usize;

/// The names of keys and channels under a namespace.
///
/// A key's hash tag, the first `{…}` in it, is that of its partition; so are those of a Cluster's channels.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    namespace: String,
    tags: Vec<String>,
    sharded: bool,
}

/// The keys of one topic.
pub(super) struct TopicKeys {
    /// A hash: epoch, offset, end, bytes.
    pub(super) meta: String,
    /// A stream: the payloads, with ids that are their offsets.
    pub(super) log: String,
    /// A list beside the stream: each payload's size and time, so that trimming needn't read payloads.
    pub(super) sizes: String,
    /// A hash: the idempotency keys that are remembered, by key and by age.
    pub(super) ids: String,
}

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Publications.
    Feed,
    /// Notices of those that take in raw messages.
    Taken,
    /// Broadcasts to all that have the backend open.
    Broadcast,
    /// What a process sends to itself.
    Probe,
    /// Not one of our own.
    Raw,
}

impl Layout {
    pub(super) fn new(namespace: &str, sharded: bool) -> Self {
        Self {
            namespace: namespace.to_owned(),
            tags: balanced_tags(if sharded { PARTITIONS } else { 1 }),
            sharded,
        }
    }

    pub(super) fn is_sharded(&self) -> bool {
        self.sharded
    }

    /// The command for announcing.
    pub(super) fn announce(&self) -> &'static str {
        if self.sharded { "SPUBLISH" } else { "PUBLISH" }
    }

    pub(super) fn partitions(&self) -> std::ops::Range<Partition> {
        0..self.tags.len()
    }

    pub(super) fn partition(&self, topic: &str) -> Partition {
        let hash = fnv1a(topic.as_bytes()) % self.tags.len() as u64;
        usize::try_from(hash).expect("less than the number of partitions")
    }

    pub(super) fn slot(&self, partition: Partition) -> usize {
        slot(&self.tags[partition])
    }

    pub(super) fn keys(&self, topic: &Topic) -> TopicKeys {
        let partition = self.partition(topic.as_str());
        let key = |kind: &str| self.key(partition, &format!("{kind}:{topic}"));
        TopicKeys {
            meta: key("meta"),
            log: key("log"),
            sizes: key("sizes"),
            ids: key("ids"),
        }
    }

    /// A sorted set: topics by the time of their last publication.
    pub(super) fn index(&self, partition: Partition) -> String {
        self.key(partition, "topics")
    }

    /// A hash: the cursors of durable subscriptions of one owner.
    pub(super) fn cursors(&self, partition: Partition, owner: &str) -> String {
        self.key(partition, &format!("cursors:{owner}"))
    }

    /// A sorted set: the cursors of a partition by the time of their last use.
    pub(super) fn cursor_index(&self, partition: Partition) -> String {
        self.key(partition, "cursors")
    }

    /// The key of what servers keep, and its partition.
    pub(super) fn keep(&self) -> (Partition, String) {
        (0, self.key(0, "keep"))
    }

    /// The key of the lease for the raw messages of a scope.
    pub(super) fn lease(&self, partition: Partition, scope: &str) -> String {
        self.key(partition, &format!("lease:{scope}"))
    }

    fn key(&self, partition: Partition, rest: &str) -> String {
        format!("{}:{{{}}}:{rest}", self.namespace, self.tags[partition])
    }

    /// The channel of a topic's publications: a channel of its own, or its partition's.
    pub(super) fn feed(&self, topic: &Topic) -> String {
        if self.sharded {
            self.feed_of(self.partition(topic.as_str()))
        } else {
            format!("{}{topic}", self.feed_prefix())
        }
    }

    /// The channel of a partition's publications, in a Cluster.
    pub(super) fn feed_of(&self, partition: Partition) -> String {
        format!("{}{{{}}}", self.feed_prefix(), self.tags[partition])
    }

    /// The prefix of the channels of all topics.
    pub(super) fn feed_prefix(&self) -> String {
        format!("{}.feed:", self.namespace)
    }

    /// The channel of notices about which raw messages were taken in.
    pub(super) fn taken(&self, partition: Partition) -> String {
        format!("{}.taken:{{{}}}", self.namespace, self.tags[partition])
    }

    /// The partition of the broadcast channel.
    pub(super) const fn broadcast_partition() -> Partition {
        0
    }

    /// The channel of broadcasts.
    pub(super) fn broadcast(&self) -> String {
        let tag = &self.tags[Self::broadcast_partition()];
        format!("{}.broadcast:{{{tag}}}", self.namespace)
    }

    /// The channel of a process's own probes.
    pub(super) fn probe(&self, partition: Partition, instance: u64) -> String {
        let tag = &self.tags[partition];
        format!("{}.probe:{{{tag}}}:{instance:x}", self.namespace)
    }

    /// The kind of a channel.
    pub(super) fn kind(&self, channel: &str) -> Channel {
        let own = channel.strip_prefix(&self.namespace);
        match own.and_then(|rest| rest.split_once(':')) {
            Some((".feed", _)) => Channel::Feed,
            Some((".taken", _)) => Channel::Taken,
            Some((".broadcast", _)) => Channel::Broadcast,
            Some((".probe", _)) => Channel::Probe,
            _ => Channel::Raw,
        }
    }
}

/// A glob for the server that selects at least the channels of the topics that `pattern` matches.
pub(super) fn glob(prefix: &str, pattern: &Pattern) -> String {
    let segments: Vec<String> = pattern
        .segments()
        .map(|segment| match segment {
            Segment::Literal(literal) => escaped(literal),
            Segment::One | Segment::Many => "*".to_owned(),
        })
        .collect();
    format!("{}{}", escaped(prefix), segments.join(":"))
}

/// A glob that selects every channel that begins with `prefix`.
pub(super) fn glob_of_prefix(prefix: &str) -> String {
    format!("{}*", escaped(prefix))
}

fn escaped(literal: &str) -> String {
    let mut glob = String::with_capacity(literal.len());
    for character in literal.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

/// The mark by which a raw message is recognised.
pub(super) fn mark(topic: &str, payload: &[u8]) -> u64 {
    fnv1a(&[topic.as_bytes(), b"\n", payload].concat())
}

/// FNV-1a with 64 bits, by Fowler, Noll and Vo.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// For each partition, the smallest number whose slot lies in the partition's share of the slots.
///
/// Consecutive numbers would put several partitions on one node and none on another.
fn balanced_tags(count: usize) -> Vec<String> {
    let mut tags = vec![None; count];
    let mut missing = count;
    for number in 0_u32.. {
        let tag = number.to_string();
        let share = slot(&tag) * count / SLOTS;
        if tags[share].is_none() {
            tags[share] = Some(tag);
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
    }
    tags.into_iter().flatten().collect()
}

/// The slot of a hash tag.
fn slot(tag: &str) -> usize {
    usize::from(crc16(tag.as_bytes())) % SLOTS
}

/// CRC-16/XMODEM, as the Redis Cluster specification asks for.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
    }

    #[test]
    fn each_partition_lies_in_its_share_of_the_slots() {
        let layout = Layout::new("tidegate", true);
        assert_eq!(layout.partitions().len(), PARTITIONS);
        for partition in layout.partitions() {
            let slots = SLOTS / PARTITIONS;
            assert_eq!(layout.slot(partition) / slots, partition);
        }
    }

    #[test]
    fn topics_spread_over_the_partitions_and_stay_where_they_are() {
        let layout = Layout::new("tidegate", true);
        let mut counts = [0; PARTITIONS];
        for number in 0..64_000 {
            counts[layout.partition(&format!("job:{number}"))] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)));
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        let topic = Topic::new("job:42").unwrap();
        assert_eq!(layout.keys(&topic).meta, "tidegate:{12}:meta:job:42");
    }

    #[test]
    fn globs_select_nothing_by_the_letters_of_a_topic() {
        let pattern = Pattern::new("a?[b]\\:*:c").unwrap();
        assert_eq!(glob("x*.", &pattern), r"x\*.a\?\[b\]\\:*:c");
        let pattern = Pattern::new("job:**").unwrap();
        assert_eq!(glob("", &pattern), "job:*");
        assert_eq!(glob_of_prefix("tidegate:"), "tidegate:*");
    }
}
