//! What a client may do: its [`Grant`], which the host derives from a token, a cookie or an application's own rule.
//!
//! The core checks no signatures and knows no token formats. It checks every request of a session against the session's
//! grant, and ends the session when the grant expires.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// The longest name of a user, in bytes.
pub const USER_BYTES_MAX: usize = 255;

/// What a client may do, and until when.
///
/// A request for a pattern needs one entry that covers all of it: a client that may subscribe to `job:42` and `job:43`
/// may not subscribe to `job:*`.
///
/// ```
/// use tidegate_core::access::Grant;
/// use tidegate_core::topic::{Pattern, Topic};
///
/// let grant = Grant {
///     subscribe: vec![Pattern::new("job:*")?],
///     ..Grant::nothing()
/// };
/// assert!(grant.may_subscribe(&Pattern::new("job:42")?));
/// assert!(!grant.may_subscribe(&Pattern::new("job:**")?));
/// assert!(!grant.may_publish(&Topic::new("job:42")?));
/// # Ok::<(), tidegate_core::topic::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who the client is; `None` if that is unknown. At most [`USER_BYTES_MAX`] bytes.
    pub user: Option<Arc<str>>,
    /// What it may subscribe to, and whose presences it may watch and join.
    pub subscribe: Vec<Pattern>,
    /// The topics that it may publish to.
    pub publish: Vec<Pattern>,
    /// Subscriptions that its connections get automatically with their `welcome`: its own rooms. It may subscribe to
    /// them whatever `subscribe` says.
    pub joins: Vec<Pattern>,
    /// When the grant expires; `None` for never.
    pub expires: Option<Instant>,
}

impl Grant {
    /// A grant that allows nothing, without a user and without expiry.
    pub const fn nothing() -> Self {
        Self {
            user: None,
            subscribe: Vec::new(),
            publish: Vec::new(),
            joins: Vec::new(),
            expires: None,
        }
    }

    /// A grant that allows everything, without a user and without expiry.
    pub fn everything() -> Self {
        let all = Pattern::new("**").expect("a wildcard is a pattern");
        Self {
            subscribe: [all.clone()].into(),
            publish: [all].into(),
            ..Self::nothing()
        }
    }

    /// Whether the client may subscribe to everything that matches `pattern`.
    pub fn may_subscribe(&self, pattern: &Pattern) -> bool {
        let own = self.subscribe.iter().chain(&self.joins);
        own.into_iter().any(|granted| granted.covers(pattern))
    }

    /// Whether the client may publish to `topic`.
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.iter().any(|granted| granted.matches(topic))
    }

    /// Returns whether it allows subscribing and publishing to everything, as an operator may.
    pub fn is_everything(&self) -> bool {
        let all = Pattern::new("**").expect("a wildcard is a pattern");
        let publishes_all = self.publish.iter().any(|granted| granted.covers(&all));
        publishes_all && self.may_subscribe(&all)
    }

    /// Whether the client may watch the presences of `topic`.
    pub fn may_watch(&self, topic: &Topic) -> bool {
        self.subscribe.iter().any(|granted| granted.matches(topic))
    }

    /// Whether the client may be present in `topic` as `key`: it must be allowed to watch it, and a client with a name
    /// may only use that name.
    pub fn may_track(&self, topic: &Topic, key: &str) -> bool {
        self.may_watch(topic) && self.user.as_deref().is_none_or(|user| user == key)
    }

    /// Whether the grant has expired.
    pub fn has_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Whether `self` may replace `before` on a live connection: it must be for the same user.
    pub fn may_follow(&self, before: &Self) -> bool {
        self.user == before.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts
            .iter()
            .map(|text| Pattern::new(text).unwrap())
            .collect()
    }

    fn topic(text: &str) -> Topic {
        Topic::new(text).unwrap()
    }

    #[test]
    fn a_pattern_needs_a_grant_that_covers_the_whole_of_it() {
        let grant = Grant {
            subscribe: patterns(&["job:1", "job:2", "task:*:log", "room:**"]),
            ..Grant::nothing()
        };
        for (pattern, allowed) in [
            ("job:1", true),
            ("job:3", false),
            ("job:*", false),
            ("task:7:log", true),
            ("task:*:log", true),
            ("task:**", false),
            ("room:a:b", true),
            ("room:*", true),
            ("room:**", true),
            ("room", false),
            ("**", false),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(grant.may_subscribe(&pattern), allowed, "{pattern}");
        }
    }

    #[test]
    fn subscribing_and_publishing_are_granted_apart() {
        let grant = Grant {
            subscribe: patterns(&["a:*"]),
            publish: patterns(&["b:*"]),
            ..Grant::nothing()
        };
        assert!(grant.may_watch(&topic("a:1")) && !grant.may_publish(&topic("a:1")));
        assert!(!grant.may_watch(&topic("b:1")) && grant.may_publish(&topic("b:1")));
    }

    #[test]
    fn everything_is_all_topics_both_ways() {
        assert!(Grant::everything().is_everything());
        for (subscribe, publish) in [("**", "*"), ("*", "**"), ("a:**", "a:**")] {
            let grant = Grant {
                subscribe: patterns(&[subscribe]),
                publish: patterns(&[publish]),
                ..Grant::nothing()
            };
            assert!(!grant.is_everything(), "{subscribe}, {publish}");
        }
        assert!(!Grant::nothing().is_everything());
    }

    #[test]
    fn someone_is_present_under_their_own_name_only() {
        let ada = Grant {
            user: Some("ada".into()),
            ..Grant::everything()
        };
        assert!(ada.may_track(&topic("doc:7"), "ada"));
        assert!(!ada.may_track(&topic("doc:7"), "bob"));
        assert!(Grant::everything().may_track(&topic("doc:7"), "bob"));
    }

    #[test]
    fn a_grant_ends_at_its_instant() {
        let grant = Grant {
            expires: Some(Instant::from_millis(10)),
            ..Grant::everything()
        };
        assert!(!grant.has_expired(Instant::from_micros(9_999)));
        assert!(grant.has_expired(Instant::from_millis(10)));
        assert!(!Grant::everything().has_expired(Instant::from_micros(u64::MAX)));
    }
}
