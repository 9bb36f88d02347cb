//! Which patterns are followed, and which of them are in sync.

use core::ops::Bound;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Mirror, Progress};
use crate::history::Excerpt;
use crate::hub::Hub;
use crate::payload::Payload;
use crate::publication::Position;
use crate::router::Ticket;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use crate::uplink::{CallId, PendingCall, UplinkCall};

/// The most patterns in one call.
const PATTERNS_MAX: usize = 1000;

#[derive(Debug)]
pub(super) struct Followed {
    ticket: Ticket,
    stage: Stage,
    /// Whether the uplink was asked to follow it since the link came up.
    was_asked: bool,
    /// Something was missed during the read, so the pattern has to be read again.
    is_again: bool,
    /// Whether it has ever been in sync. If so, subscriptions can start from the copies.
    pub(super) is_known: bool,
    /// Whether it has been in sync since the link came up: whatever the copies still lack is being read already, or is
    /// lost.
    pub(super) is_compared: bool,
    /// The position after which the first of its subscribers wants the history.
    since: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be followed.
    Wanted,
    /// The call to follow it is in flight.
    Following,
    /// Followed, and being read; if it has wildcards, by this call.
    Reading(Option<CallId>),
    /// In sync.
    Live,
}

impl Followed {
    pub(super) fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }
}

impl<P: Payload + Clone, T> Mirror<P, T> {
    pub(super) fn want(&mut self, pattern: &Pattern) {
        if self.followed.contains_key(pattern) {
            return;
        }
        let followed = Followed {
            ticket: self.patterns.subscribe(pattern, ()),
            stage: Stage::Wanted,
            was_asked: self.to_unfollow.remove(pattern),
            is_again: false,
            is_known: false,
            is_compared: false,
            since: None,
        };
        self.followed.insert(pattern.clone(), followed);
        self.to_follow.insert(pattern.clone());
    }

    /// Records the position after which a topic's history is wanted, for when it is read.
    pub(super) fn note_since(&mut self, pattern: &Pattern, since: Option<Position>) {
        if let Some(followed) = self.followed.get_mut(pattern) {
            followed.since = followed.since.or(since);
        }
    }

    pub(super) fn release(&mut self, now: Instant, hub: &mut Hub<P>, pattern: &Pattern) {
        let Some(followed) = self.followed.remove(pattern) else {
            return;
        };
        self.patterns.unsubscribe(followed.ticket);
        self.to_follow.remove(pattern);
        if followed.was_asked {
            self.to_unfollow.insert(pattern.clone());
        }
        for topic in hub.topics_of(pattern) {
            // A topic without publications was remembered only because of this pattern.
            if !self.is_covered(&topic) || hub.position(&topic) == Some(Position::default()) {
                hub.forget(&topic);
            }
        }
        let patterns = &self.patterns;
        self.catch_ups.retain(|topic, _| selects(patterns, topic));
        self.settle_held(now, hub, pattern);
    }

    /// Returns whether a followed pattern matches the topic.
    pub(super) fn is_covered(&self, topic: &Topic) -> bool {
        selects(&self.patterns, topic)
    }

    /// Returns whether every followed pattern that matches the topic is in sync.
    pub(super) fn is_live(&self, topic: &Topic) -> bool {
        let mut is_live = true;
        self.patterns.for_each_match(topic, |route| {
            is_live &= self.followed[self.patterns.pattern(route)].is_live();
        });
        is_live
    }

    /// Returns whether any followed pattern that matches the topic has been in sync: whatever the topic published since
    /// then is missing.
    pub(super) fn is_known(&self, topic: &Topic) -> bool {
        let mut is_known = false;
        self.patterns.for_each_match(topic, |route| {
            is_known |= self.followed[self.patterns.pattern(route)].is_known;
        });
        is_known
    }

    /// The link was lost: everything has to be followed and read again.
    pub(super) fn follow_again(&mut self) {
        for (pattern, followed) in &mut self.followed {
            followed.stage = Stage::Wanted;
            followed.was_asked = false;
            followed.is_again = false;
            followed.is_compared = false;
            self.to_follow.insert(pattern.clone());
        }
    }

    /// Publications were missed: everything has to be read again. A read in progress is finished first, so that
    /// subscriptions still start if publications are missed all the time.
    pub(super) fn compare_again(&mut self) {
        for (pattern, followed) in &mut self.followed {
            match followed.stage {
                Stage::Wanted | Stage::Following => {}
                Stage::Reading(_) => followed.is_again = true,
                Stage::Live => {
                    followed.stage = Stage::Wanted;
                    self.to_follow.insert(pattern.clone());
                }
            }
        }
    }

    /// Returns whether the topic is followed by name.
    pub(super) fn is_followed(&self, topic: &Topic) -> bool {
        self.followed.contains_key(&Pattern::from(topic.clone()))
    }

    /// Makes the next call to follow or unfollow. They alternate, so neither can starve the other.
    pub(super) fn change_interest(&mut self, now: Instant) {
        if self.is_changing {
            return;
        }
        let is_turn_to_follow = core::mem::take(&mut self.has_unfollowed);
        let follows = !self.to_follow.is_empty() && is_turn_to_follow;
        if !self.to_unfollow.is_empty() && !follows {
            let patterns = take_some(&mut self.to_unfollow, &mut None);
            self.is_changing = true;
            self.has_unfollowed = true;
            self.call(now, PendingCall::Unfollow, UplinkCall::Unfollow(patterns));
        } else if !self.to_follow.is_empty() {
            let patterns = take_some(&mut self.to_follow, &mut self.followed_last);
            for pattern in &patterns {
                if let Some(followed) = self.followed.get_mut(pattern) {
                    followed.stage = Stage::Following;
                    followed.was_asked = true;
                }
            }
            self.is_changing = true;
            self.call(
                now,
                PendingCall::Follow(patterns.clone()),
                UplinkCall::Follow(patterns),
            );
        }
    }

    /// Publications of a pattern now arrive: reads what was missed before.
    pub(super) fn handle_followed(&mut self, now: Instant, hub: &mut Hub<P>, pattern: &Pattern) {
        let Some(followed) = self.followed.get_mut(pattern) else {
            return;
        };
        if followed.stage != Stage::Following {
            return;
        }
        followed.stage = Stage::Reading(None);
        if let Some(topic) = pattern.exact() {
            let since = followed.since;
            return self.catch_up_since(hub, &topic, since);
        }
        let list = self.call(
            now,
            PendingCall::List(pattern.clone()),
            UplinkCall::List(pattern.clone()),
        );
        if let Some(followed) = self.followed.get_mut(pattern) {
            followed.stage = Stage::Reading(Some(list));
        }
    }

    /// The topics that a pattern with wildcards matches have been listed.
    pub(super) fn handle_listed(
        &mut self,
        now: Instant,
        hub: &mut Hub<P>,
        call: CallId,
        pattern: &Pattern,
        excerpts: &[Excerpt<P>],
    ) {
        // A list that was requested before the last call to follow the pattern may be incomplete.
        if self
            .followed
            .get(pattern)
            .is_none_or(|followed| followed.stage != Stage::Reading(Some(call)))
        {
            return;
        }
        let listed: BTreeSet<&Topic> = excerpts.iter().map(|excerpt| &excerpt.topic).collect();
        for topic in hub.topics_of(pattern) {
            if !listed.contains(&topic) {
                self.catch_up(hub, &topic);
            }
        }
        for excerpt in excerpts {
            if pattern.matches(&excerpt.topic) {
                self.compare(hub, now, excerpt);
            }
        }
        self.become_live(now, hub, pattern);
    }

    pub(super) fn become_live(&mut self, now: Instant, hub: &mut Hub<P>, pattern: &Pattern) {
        if let Some(followed) = self.followed.get_mut(pattern)
            && matches!(followed.stage, Stage::Reading(_))
        {
            followed.stage = Stage::Live;
            followed.is_known = true;
            followed.is_compared = true;
            followed.since = None;
            if core::mem::take(&mut followed.is_again) {
                followed.stage = Stage::Wanted;
                self.to_follow.insert(pattern.clone());
            }
            self.progress.push_back(Progress::Pattern(pattern.clone()));
            self.settle_held(now, hub, pattern);
        }
    }
}

fn selects(patterns: &crate::router::Router<()>, topic: &Topic) -> bool {
    let mut is_any = false;
    patterns.for_each_match(topic, |_| is_any = true);
    is_any
}

/// Takes a batch of patterns, starting after `last` and wrapping around: patterns just taken may be added again at
/// once, and must not starve the others.
fn take_some(patterns: &mut BTreeSet<Pattern>, last: &mut Option<Pattern>) -> Vec<Pattern> {
    let after = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let later = patterns.range::<Pattern, _>((after, Bound::Unbounded));
    let all = later.chain(patterns.iter());
    let count = patterns.len().min(PATTERNS_MAX);
    let taken: Vec<Pattern> = all.take(count).cloned().collect();
    for pattern in &taken {
        patterns.remove(pattern);
    }
    *last = taken.last().cloned();
    taken
}
