//! Warns of a server that evicts keys when its memory is full: topics go with them, whatever the policy is.

use std::sync::atomic::Ordering;

use redis::Value;

use super::call::Call;
use super::error::text;
use super::link::Link;

impl Link {
    /// Warns once if a server may evict keys. Gives no warning if this user may not ask.
    pub(super) async fn warn_of_eviction(&self) {
        let Ok(owned) = self.owned() else {
            return;
        };
        for (_, _, partitions) in owned {
            let [partition, ..] = partitions[..] else {
                continue;
            };
            let mut info = redis::cmd("INFO");
            info.arg("memory");
            let values = self.run(partition, &[Call::Plain(info)]).await;
            let value = values.ok().and_then(|mut values| values.pop());
            let Some(policy) = value.as_ref().and_then(info_text).and_then(evicting_policy) else {
                continue;
            };
            if !self
                .shared
                .has_warned_of_eviction
                .swap(true, Ordering::Relaxed)
            {
                tracing::warn!(
                    "{} may evict topics: set its maxmemory-policy to noeviction instead of {policy}",
                    self.name()
                );
            }
            return;
        }
    }
}

/// The text of an answer to `INFO`, which RESP3 marks as text for people.
fn info_text(value: &Value) -> Option<&str> {
    match value {
        Value::VerbatimString { text, .. } => Some(text),
        value => text(value),
    }
}

/// The policy by which a server evicts keys, if it does. All keys of a topic have an expiry, so `volatile-` policies evict them, too.
fn evicting_policy(info: &str) -> Option<&str> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    let has_limit = field("maxmemory:").is_some_and(|bytes| bytes.trim() != "0");
    let policy = field("maxmemory_policy:")?.trim();
    (has_limit && policy != "noeviction").then_some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_has_a_limit_and_evicts_is_warned_of() {
        for (bytes, policy, expected) in [
            ("0", "allkeys-lru", None),
            ("1048576", "noeviction", None),
            ("1048576", "volatile-lru", Some("volatile-lru")),
            ("1048576", "allkeys-lfu", Some("allkeys-lfu")),
        ] {
            let info = format!(
                "# Memory\r\nused_memory:900\r\nmaxmemory:{bytes}\r\nmaxmemory_human:1.00M\r\nmaxmemory_policy:{policy}\r\nmem_allocator:x\r\n"
            );
            assert_eq!(evicting_policy(&info), expected, "{bytes} {policy}");
        }
        assert_eq!(evicting_policy(""), None);
    }
}
