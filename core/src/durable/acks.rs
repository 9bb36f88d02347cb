//! What a client's handlers have dealt with, and when the server is told.

use core::time::Duration;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::limits::UNHANDLED_MAX;
use crate::ordered::OrderedMap;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Topic;

/// How many publications may be dealt with before the server is told.
const TOLD_EVERY: usize = 32;

/// How long it may take until the server is told.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What one subscriber was handed and has not dealt with, in its order.
///
/// A publication counts as dealt with once all before it are: a position says that of everything up to it.
#[derive(Debug)]
pub(crate) struct Handed {
    topics: OrderedMap<Topic, Handing>,
    /// Whether a later publication stands for the earlier ones, which may never have been seen.
    conflates: bool,
    /// Whether nothing more will be handed.
    is_over: bool,
}

#[derive(Debug, Default)]
struct Handing {
    unhandled: VecDeque<(Position, bool)>,
    /// More was handed than is remembered: what comes after can't be told apart any more.
    is_lost: bool,
}

impl Handed {
    /// Nothing was handed yet, to one whose flow `conflates` or not.
    pub(crate) const fn new(conflates: bool) -> Self {
        Self {
            topics: OrderedMap::new(),
            conflates,
            is_over: false,
        }
    }

    /// Nothing more will be handed: the subscription has ended with its topic.
    pub(crate) const fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether everything is dealt with that ever will be handed.
    pub(crate) fn is_done(&self) -> bool {
        self.is_over && self.topics.is_empty()
    }

    /// The subscriber was handed a publication.
    pub(crate) fn hand(&mut self, topic: &Topic, position: Position) {
        let handing = self.topics.or_insert_with(topic, Handing::default);
        if handing.unhandled.len() >= UNHANDLED_MAX {
            handing.is_lost = true;
        }
        if !handing.is_lost {
            handing.unhandled.push_back((position, false));
        }
    }

    /// The subscriber has dealt with a publication. Where everything up to some position is dealt with now, that one.
    pub(crate) fn handle(&mut self, topic: &Topic, position: Position) -> Option<Position> {
        let handing = self.topics.get_mut(topic)?;
        let handed = handing.unhandled.iter();
        let at = handed
            .into_iter()
            .position(|(known, _)| *known == position)?;
        let first = if self.conflates { 0 } else { at };
        for (_, is_handled) in handing.unhandled.range_mut(first..=at) {
            *is_handled = true;
        }
        let mut last = None;
        while let Some((position, true)) = handing.unhandled.front() {
            last = Some(*position);
            handing.unhandled.pop_front();
        }
        if handing.unhandled.is_empty() && !handing.is_lost {
            self.topics.remove(topic);
        }
        last
    }
}

/// What the server is to be told of one durable subscription.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    positions: OrderedMap<Topic, Position>,
    count: usize,
    due_at: Option<Instant>,
    /// Up to where something was dealt with last.
    handled: Option<Position>,
    /// Where the topic has ended, if it has.
    ended: Option<Position>,
}

impl Acks {
    /// Everything of a topic up to a position is dealt with.
    pub(crate) fn handle(&mut self, now: Instant, topic: &Topic, position: Position) {
        self.positions.insert(topic, position);
        self.count += 1;
        self.handled = Some(position);
        let due_at = *self.due_at.get_or_insert(now + TOLD_WITHIN);
        if self.count >= TOLD_EVERY || self.is_done() {
            self.due_at = Some(due_at.min(now));
        }
    }

    /// The topic has ended with this publication.
    pub(crate) fn end(&mut self, now: Instant, position: Position) {
        self.ended = Some(position);
        if self.is_done() {
            self.due_at = self.due_at.map(|at| at.min(now));
        }
    }

    /// Whether nothing is left to be dealt with: there is nothing to wait for.
    fn is_done(&self) -> bool {
        self.ended.is_some() && self.ended == self.handled
    }

    /// Whether there will never be anything to tell any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_done() && self.due_at.is_none()
    }

    /// What is to be told now, if anything is.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Vec<TopicPosition>> {
        self.due_at.filter(|at| *at <= now)?;
        self.take()
    }

    /// What is to be told, now or later.
    pub(crate) fn take(&mut self) -> Option<Vec<TopicPosition>> {
        self.due_at.take()?;
        self.count = 0;
        let positions = core::mem::take(&mut self.positions);
        let positions = positions.iter().map(|(topic, position)| TopicPosition {
            topic: topic.clone(),
            position: *position,
        });
        Some(positions.collect())
    }

    /// When something is to be told at the latest.
    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }
}
