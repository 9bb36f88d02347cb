//! When a client acknowledges what its handlers have processed.

use core::time::Duration;

use alloc::vec::Vec;

use crate::ordered::OrderedMap;
use crate::protocol::TopicPosition;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Topic;

/// How many publications may be processed before an acknowledgement is sent.
const ACK_EVERY: usize = 32;

/// How long an acknowledgement may wait before it is sent.
const ACK_WITHIN: Duration = Duration::from_secs(1);

/// The outstanding acknowledgements of one durable subscription.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    positions: OrderedMap<Topic, Position>,
    count: usize,
    due_at: Option<Instant>,
    /// The position of the publication that was processed last.
    handled: Option<Position>,
    /// The position at which the topic has ended, if it has.
    ended: Option<Position>,
}

impl Acks {
    /// Everything of a topic up to a position has been processed. It may be behind a position already noted, because
    /// subscribers differ.
    pub(crate) fn handle(&mut self, now: Instant, topic: &Topic, position: Position) {
        let noted = self.positions.get(topic);
        if noted.is_some_and(|noted| is_behind(position, *noted)) {
            return;
        }
        self.positions.insert(topic, position);
        self.count += 1;
        if self.handled.is_none_or(|last| !is_behind(position, last)) {
            self.handled = Some(position);
        }
        let due_at = *self.due_at.get_or_insert(now + ACK_WITHIN);
        if self.count >= ACK_EVERY || self.is_done() {
            self.due_at = Some(due_at.min(now));
        }
    }

    /// The topic has ended with this publication.
    pub(crate) fn end(&mut self, now: Instant, position: Position) {
        self.ended = Some(position);
        if self.is_done() {
            self.hurry(now);
        }
    }

    /// Outstanding acknowledgements must not wait any longer.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due_at = self.due_at.map(|at| at.min(now));
    }

    /// Returns whether the topic has ended and everything was processed, so there is nothing to wait for.
    fn is_done(&self) -> bool {
        self.ended.is_some() && self.ended == self.handled
    }

    /// Returns whether there is nothing left to acknowledge, now or later.
    pub(crate) fn is_over(&self) -> bool {
        self.is_done() && self.due_at.is_none()
    }

    /// Takes the acknowledgements if they are due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Vec<TopicPosition>> {
        self.due_at.filter(|at| *at <= now)?;
        self.take()
    }

    /// Takes all outstanding acknowledgements.
    pub(crate) fn take(&mut self) -> Option<Vec<TopicPosition>> {
        self.due_at.take()?;
        self.count = 0;
        let positions = core::mem::take(&mut self.positions);
        let mut taken = Vec::new();
        for (topic, position) in positions.iter() {
            taken.push(TopicPosition {
                topic: topic.clone(),
                position: *position,
            });
        }
        Some(taken)
    }

    /// When the next acknowledgements are due.
    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }
}

/// Returns whether a position is before another one in the same epoch.
fn is_behind(position: Position, other: Position) -> bool {
    position.epoch == other.epoch && position.offset < other.offset
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        /// Everything of a topic up to this position has been processed.
        Handle(u8, u64, u64),
        /// The topic has ended here.
        End(u64, u64),
        Pass(u64),
        /// Send acknowledgements at once.
        Take,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let place = || (1..3_u64, 1..6_u64);
        prop_oneof![
            40 => (0..2_u8, place()).prop_map(|(topic, (epoch, offset))| Step::Handle(topic, epoch, offset)),
            2 => place().prop_map(|(epoch, offset)| Step::End(epoch, offset)),
            4 => (0..700_u64).prop_map(Step::Pass),
            1 => Just(Step::Take),
        ]
    }

    /// What was processed and not acknowledged, one by one, and the rest of the state.
    #[derive(Default)]
    struct Model {
        outstanding: Vec<(Instant, Topic, Position)>,
        handled: Option<Position>,
        ended: Option<Position>,
        /// Nothing more is waited for.
        is_urgent: bool,
    }

    impl Model {
        fn handle(&mut self, now: Instant, topic: Topic, position: Position) {
            let (epoch, offset) = (position.epoch, position.offset);
            let last = self
                .outstanding
                .iter()
                .rev()
                .find(|(_, of, _)| *of == topic);
            if last.is_some_and(|(.., last)| last.epoch == epoch && last.offset > offset) {
                return;
            }
            self.outstanding.push((now, topic, position));
            if self
                .handled
                .is_none_or(|last| last.epoch != epoch || last.offset <= offset)
            {
                self.handled = Some(position);
            }
            self.hurry();
        }

        fn hurry(&mut self) {
            let is_much = self.outstanding.len() >= ACK_EVERY || self.is_done();
            self.is_urgent |= is_much && !self.outstanding.is_empty();
        }

        fn is_done(&self) -> bool {
            self.ended.is_some() && self.ended == self.handled
        }

        fn is_due(&self, now: Instant) -> bool {
            let first = self.outstanding.first();
            self.is_urgent || first.is_some_and(|(at, ..)| *at + ACK_WITHIN <= now)
        }

        fn take(&mut self) -> Option<BTreeMap<Topic, Position>> {
            self.is_urgent = false;
            let taken: BTreeMap<_, _> = self
                .outstanding
                .drain(..)
                .map(|(_, topic, at)| (topic, at))
                .collect();
            Some(taken).filter(|taken| !taken.is_empty())
        }
    }

    proptest! {
        #[test]
        fn it_is_told_within_its_time_or_once_it_is_much_or_all(steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 40 } else { 200 })) {
            let (mut acks, mut model, mut now) = (Acks::default(), Model::default(), Instant::ZERO);
            for step in steps {
                let is_taken = matches!(step, Step::Take);
                match step {
                    Step::Handle(topic, epoch, offset) => {
                        let topic = Topic::new(&format!("t:{topic}")).expect("valid");
                        let position = Position { epoch, offset };
                        acks.handle(now, &topic, position);
                        model.handle(now, topic, position);
                    }
                    Step::End(epoch, offset) => {
                        let position = Position { epoch, offset };
                        acks.end(now, position);
                        model.ended = Some(position);
                        model.hurry();
                    }
                    Step::Pass(millis) => now = now + Duration::from_millis(millis),
                    Step::Take => {}
                }
                prop_assert_eq!(acks.is_over(), model.is_done() && model.outstanding.is_empty());
                prop_assert_eq!(acks.due_at().is_some(), !model.outstanding.is_empty());
                prop_assert_eq!(acks.due_at().is_some_and(|at| at <= now), model.is_due(now));
                let (taken, expected) = if is_taken {
                    (acks.take(), model.take())
                } else if model.is_due(now) {
                    (acks.take_due(now), model.take())
                } else {
                    (acks.take_due(now), None)
                };
                let taken = taken.map(|taken| taken.into_iter().map(|known| (known.topic, known.position)).collect());
                prop_assert_eq!(taken, expected);
            }
        }
    }
}
