//! Everything that one connection was told, checked as it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::flow::Flow;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ServerFrame, Start};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Json;

/// A subscription as its subscriber sees it.
#[derive(Debug)]
pub struct Watch {
    /// Its pattern.
    pub pattern: Pattern,
    /// Where it started.
    pub start: Start,
    /// Its stage.
    pub stage: Stage,
    /// Everything that it was told, as text.
    pub told: Vec<String>,
    /// The last publication of each topic.
    pub last: BTreeMap<Topic, Last>,
    /// The last publication itself; none after a reset.
    known: BTreeMap<Topic, Arc<Publication<Json>>>,
    is_gapless: bool,
    is_started: bool,
    highest: BTreeMap<(Topic, u64), u64>,
    lag: u64,
}

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was requested.
    Pending,
    /// It was confirmed.
    Live,
    /// Its topic has ended.
    Ended(EndReason),
    /// It was refused.
    Refused,
}

/// What a subscription knows of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Everything up to here.
    Seen {
        /// The position.
        position: Position,
        /// Whether it ended the topic.
        is_terminal: bool,
    },
    /// It was told that the topic was reset.
    Reset(Position),
}

impl Watch {
    pub(super) fn new(pattern: Pattern, flow: Flow, start: Start) -> Self {
        Self {
            pattern,
            start,
            stage: Stage::Pending,
            told: Vec::new(),
            last: BTreeMap::new(),
            known: BTreeMap::new(),
            is_gapless: !flow.conflates(),
            is_started: false,
            highest: BTreeMap::new(),
            lag: 0,
        }
    }

    pub(super) fn set_flow(&mut self, flow: Flow) {
        self.is_gapless &= !flow.conflates();
    }

    /// Whether more may come.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Pending | Stage::Live)
    }

    /// Everything due at its start has arrived: a topic that appears from now on must appear from its beginning.
    pub(super) fn settle(&mut self) {
        self.is_started |= self.stage == Stage::Live;
    }

    fn handle_subscribed(&mut self, position: Option<Position>, recovered: bool) {
        assert_eq!(self.stage, Stage::Pending, "answered twice: {self:#?}");
        self.stage = Stage::Live;
        let (Some(topic), Some(position)) = (self.pattern.exact(), position) else {
            if let Start::Since(known) = &self.start {
                self.last.extend(
                    known
                        .iter()
                        .map(|known| (known.topic.clone(), seen(known.position))),
                );
            }
            return;
        };
        let known = match &self.start {
            Start::Latest => Position {
                offset: position.offset.saturating_sub(1),
                ..position
            },
            Start::New => position,
            Start::Since(known) => {
                let known = known.iter().find(|known| known.topic == topic);
                match known {
                    Some(known) => known.position,
                    None => Position {
                        offset: position.offset.saturating_sub(1),
                        ..position
                    },
                }
            }
        };
        if recovered {
            assert!(
                known.epoch == position.epoch || known == Position::default(),
                "recovered from {known} to {position}"
            );
        }
        self.last.insert(topic, seen(known));
    }

    /// Returns what was known of the topic before.
    fn handle_publication(
        &mut self,
        publication: &Arc<Publication<Json>>,
    ) -> Option<Arc<Publication<Json>>> {
        let (topic, position) = (&publication.topic, publication.position);
        assert_eq!(self.stage, Stage::Live, "{publication:?} for {self:#?}");
        assert!(self.pattern.matches(topic));
        let key = (topic.clone(), position.epoch);
        let highest = self.highest.entry(key).or_default();
        assert!(
            position.offset > *highest,
            "{topic} at {position} after offset {highest}: {:#?}",
            self.told
        );
        *highest = position.offset;
        let last = Last::Seen {
            position,
            is_terminal: publication.is_terminal(),
        };
        let before = self.last.insert(topic.clone(), last);
        let missing = match before {
            Some(Last::Reset(_)) => 0,
            None if !self.is_started || self.start != Start::Latest => 0,
            None => position.offset - 1,
            Some(Last::Seen {
                position: before,
                is_terminal,
            }) => {
                if before.epoch == position.epoch {
                    assert!(!is_terminal, "{topic} at {position} follows its terminal");
                    let missing = position.offset.checked_sub(before.offset + 1);
                    // A subscriber that joins after the end gets the terminal publication, whatever it knew.
                    let is_late = publication.is_terminal() && self.highest.len() == 1;
                    missing.or(is_late.then_some(0)).expect("it rises")
                } else {
                    let may_begin =
                        is_terminal || before.offset == 0 || self.is_resumed(topic, before);
                    assert!(
                        may_begin,
                        "{topic} at {position} after {before} without a reset: {:#?}",
                        self.told
                    );
                    position.offset - 1
                }
            }
        };
        if self.is_gapless {
            assert!(
                missing <= self.lag,
                "{missing} are missing before {topic} at {position}, {} reported: {:#?}",
                self.lag,
                self.told
            );
            self.lag -= missing;
        }
        self.known.insert(topic.clone(), Arc::clone(publication))
    }

    /// Whether it resumed from a position that may have been the topic's end.
    fn is_resumed(&self, topic: &Topic, before: Position) -> bool {
        let seen = (topic.clone(), before.epoch);
        matches!(self.start, Start::Since(_)) && !self.highest.contains_key(&seen)
    }

    fn handle_end(&mut self, reason: EndReason) {
        assert_eq!(self.stage, Stage::Live, "ended: {self:#?}");
        assert!(
            self.last.values().all(|last| matches!(
                last,
                Last::Seen {
                    is_terminal: true,
                    ..
                }
            )) || matches!(self.start, Start::Since(_)),
            "an end without its terminal: {self:#?}"
        );
        self.stage = Stage::Ended(reason);
    }
}

const fn seen(position: Position) -> Last {
    Last::Seen {
        position,
        is_terminal: false,
    }
}

/// The subscriptions of one connection, by pattern. A new one replaces one that is over.
#[derive(Debug, Default)]
pub struct Watches {
    by_pattern: BTreeMap<Pattern, Watch>,
    /// Those that are over or were left.
    pub past: Vec<Watch>,
    /// Whether the last of `stale` and `live` was `stale`.
    pub is_stale: bool,
    /// The results of the connection's publishes.
    pub published: Vec<(u64, Option<Position>)>,
    /// Pairs of publications of one topic that were delivered in succession, and are yet to be compared with the store.
    successions: Vec<[Arc<Publication<Json>>; 2]>,
}

impl Watches {
    pub(super) fn add(&mut self, watch: Watch) {
        let before = self.by_pattern.insert(watch.pattern.clone(), watch);
        self.past.extend(before);
    }

    pub(super) fn leave(&mut self, pattern: &Pattern) {
        self.past.extend(self.by_pattern.remove(pattern));
    }

    /// The subscription to a pattern.
    pub fn of(&self, pattern: &Pattern) -> Option<&Watch> {
        self.by_pattern.get(pattern)
    }

    pub(super) fn of_mut(&mut self, pattern: &Pattern) -> Option<&mut Watch> {
        self.by_pattern.get_mut(pattern)
    }

    /// The subscriptions that may still be told something.
    pub fn open(&self) -> impl Iterator<Item = &Watch> {
        self.by_pattern.values().filter(|watch| watch.is_open())
    }

    pub(super) fn settle(&mut self) {
        self.by_pattern.values_mut().for_each(Watch::settle);
    }

    fn via(&mut self, topic: &Topic, via: Option<&Pattern>, text: &str) -> &mut Watch {
        let pattern = via.cloned().unwrap_or_else(|| topic.clone().into());
        self.by(&pattern, text)
    }

    fn by(&mut self, pattern: &Pattern, text: &str) -> &mut Watch {
        let watch = self.by_pattern.get_mut(pattern);
        let watch = watch.unwrap_or_else(|| panic!("nobody waits for {text}"));
        watch.told.push(text.to_owned());
        watch
    }

    /// Takes the pairs of publications of one topic that were delivered in succession, without a reset between.
    pub(super) fn take_successions(&mut self) -> Vec<[Arc<Publication<Json>>; 2]> {
        core::mem::take(&mut self.successions)
    }

    fn note_publication(
        &mut self,
        publication: &Arc<Publication<Json>>,
        via: Option<&Pattern>,
        text: &str,
    ) {
        let watch = self.via(&publication.topic, via, text);
        if let Some(before) = watch.handle_publication(publication) {
            self.successions.push([before, Arc::clone(publication)]);
        }
    }

    /// Takes note of a frame.
    ///
    /// # Panics
    /// If it breaks a promise.
    pub(super) fn note(&mut self, frame: &ServerFrame<Json>) {
        let text = format!("{frame:?}");
        match frame {
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                ..
            } => self
                .by(pattern, &text)
                .handle_subscribed(*position, *recovered),
            ServerFrame::Publication { publication, via } => {
                self.note_publication(publication, via.as_ref(), &text);
            }
            ServerFrame::Delta { .. } => panic!("what stays within the process is whole"),
            ServerFrame::Batch { items, via } => {
                for item in items {
                    self.note_publication(item, via.as_ref(), &text);
                }
            }
            ServerFrame::Reset {
                topic,
                position,
                via,
            } => {
                let watch = self.via(topic, via.as_ref(), &text);
                assert_eq!(watch.stage, Stage::Live);
                watch.known.remove(topic);
                watch.last.insert(topic.clone(), Last::Reset(*position));
            }
            ServerFrame::Lagged { pattern, missed } => self.by(pattern, &text).lag += missed,
            ServerFrame::End { pattern, reason } => self.by(pattern, &text).handle_end(*reason),
            ServerFrame::Published { request, position } => {
                self.published.push((*request, Some(*position)));
            }
            ServerFrame::Error(error) => {
                if let Some(request) = error.request {
                    self.published.push((request, None));
                }
                if let Some(pattern) = &error.pattern {
                    self.by(&pattern.clone(), &text).stage = Stage::Refused;
                }
            }
            ServerFrame::Stale => {
                assert!(!self.is_stale, "stale twice");
                self.is_stale = true;
            }
            ServerFrame::Live => {
                assert!(self.is_stale, "live without stale");
                self.is_stale = false;
            }
            ServerFrame::Welcome { .. }
            | ServerFrame::Unsubscribed { .. }
            | ServerFrame::PresenceState(_)
            | ServerFrame::PresenceDiff(_)
            | ServerFrame::Ping
            | ServerFrame::Pong
            | ServerFrame::Drain { .. } => {}
        }
    }
}
