//! One pattern that members follow: their positions, and what was last seen of its topics.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::durable::DurableName;
use crate::flow::{Conflate, Flow, Pace, Past, Slow};
use crate::joining::{Joining, matching};
use crate::limits::CLIENT_TOPICS_MAX;
use crate::ordered::OrderedMap;
use crate::protocol::{ServerFrame, Start, SubscribeRequest, TopicPosition};
use crate::publication::{Position, Publication};
use crate::recent::Recent;
use crate::sorted::SortedMap;
use crate::tabs::message::TabId;
use crate::topic::{Pattern, Topic};

/// One member's subscription.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) flow: Flow,
    /// Its policy for a slow connection, if it chose one.
    pub(super) slow: Option<Slow>,
    /// Whether it is durable, under the route's device name.
    pub(super) is_durable: bool,
    /// Whether it waits for what follows the cursor.
    pub(super) awaits_cursor: bool,
    pub(super) place: Place,
}

/// Where a member stands.
#[derive(Debug)]
pub(super) enum Place {
    /// It waits for the server to confirm the subscription; this is the start that it wants.
    Waiting(Start),
    /// It waits for the server to go back; this is the start that it wants.
    Behind(Start),
    /// It is sent whatever it misses, of repeated and new publications.
    Joining(Joining),
    /// At the position of all members.
    There,
}

impl Seat {
    /// A member's subscription that waits for its confirmation.
    pub(super) fn new(request: &SubscribeRequest) -> Self {
        Self {
            flow: request.flow,
            slow: request.slow,
            is_durable: request.durable.is_some(),
            awaits_cursor: false,
            place: Place::Waiting(request.start.clone()),
        }
    }
}

/// How far all members have come with a topic: the next publication from the server continues there.
#[derive(Debug)]
struct Top<P> {
    position: Position,
    /// The publication at that position, if it was seen here. It may combine several if the server has been asked for
    /// that since the last time it went back.
    latest: Option<Arc<Publication<P>>>,
}

#[derive(Debug)]
pub(super) struct Route<P> {
    pub(super) seats: SortedMap<TabId, Seat>,
    /// The device's name under which the server keeps the cursor, if a member gave one.
    pub(super) durable: Option<DurableName>,
    /// The flow that the server was asked for.
    pub(super) upstream: Flow,
    /// How the server may have conflated what is still to arrive.
    pub(super) past: Past,
    /// The policy for a slow connection that the server was asked for.
    pub(super) slow: Option<Slow>,
    /// The start that the server was asked for.
    wanted: Start,
    /// The start that the first member requested, and whether it is durable, until the server has confirmed it.
    pub(super) first: Option<(Start, bool)>,
    /// Whether the server has confirmed it.
    pub(super) is_confirmed: bool,
    /// Whether the server was asked to go back for members at other positions, and has not finished.
    pub(super) is_rewinding: bool,
    /// Whether there may be topics whose latest values were not requested here.
    pub(super) is_partial: bool,
    /// Whether only what a device has not processed was sent, and may still be arriving.
    pub(super) is_of_device: bool,
    tops: Recent<Top<P>>,
}

impl<P> Route<P> {
    pub(super) fn new() -> Self {
        Self {
            seats: SortedMap::new(),
            durable: None,
            upstream: Flow::IMMEDIATE,
            past: Past::default(),
            slow: None,
            wanted: Start::Latest,
            first: None,
            is_confirmed: false,
            is_rewinding: false,
            is_partial: false,
            is_of_device: false,
            tops: Recent::new(CLIENT_TOPICS_MAX),
        }
    }

    /// Sets the flow that serves all members. Returns the previous one.
    pub(super) fn aggregate(&mut self) -> Flow {
        let finest = self.finest();
        self.past = self.past.then(finest);
        core::mem::replace(&mut self.upstream, finest)
    }

    /// The flow that serves all members. Each member paces a second time itself, so the server is only asked for
    /// throttles that then delay nothing more. Sums and merges can't be taken apart for a member that has seen a part
    /// of them: while one member is at another position than the others, all are sent every publication. So are the
    /// members of a durable subscription, because each publication has to be processed.
    fn finest(&self) -> Flow {
        let flows = self.seats.values().map(|seat| seat.flow);
        let mut flows: Vec<Flow> = flows.collect();
        if self.is_rewinding {
            flows.push(Flow::IMMEDIATE);
        }
        let finest = Flow::finest(&flows).unwrap_or_default();
        let is_combined = matches!(finest.conflate, Conflate::Sum | Conflate::Merge);
        match finest {
            Flow { delta, .. } if is_combined && self.has_devices() => {
                Flow::IMMEDIATE.with_delta(delta)
            }
            Flow {
                pace:
                    Pace::Throttle {
                        leading: true,
                        trailing: true,
                        ..
                    },
                ..
            } => finest,
            Flow { delta, .. } => Flow::IMMEDIATE.with_delta(delta),
        }
    }

    /// The start to request from the server for the first member; all members continue from there.
    pub(super) fn begin(&mut self, pattern: &Pattern, start: &Start) -> Start {
        let wanted = match start.of(pattern) {
            // To have seen nothing of a topic means to want its latest value.
            Start::Since(known) if pattern.is_exact() && known.is_empty() => Start::Latest,
            start => start,
        };
        if let Start::Since(known) = &wanted {
            for TopicPosition { topic, position } in known {
                self.set_top(topic, *position, None);
            }
        }
        self.wanted = wanted.clone();
        wanted
    }

    /// The start to request when subscribing again, so that all members continue from their position.
    pub(super) fn go_on(&mut self, pattern: &Pattern) -> Start {
        if core::mem::take(&mut self.is_confirmed) {
            self.wanted = if pattern.is_exact() && self.tops.is_empty() {
                // Its latest value has yet to arrive.
                Start::Latest
            } else {
                let known = self.tops.iter().map(|(topic, top)| TopicPosition {
                    topic: topic.clone(),
                    position: top.position,
                });
                Start::Since(known.collect())
            };
        }
        self.wanted.clone()
    }

    /// The server has confirmed the subscription.
    pub(super) fn handle_subscribed(&mut self, pattern: &Pattern, position: Option<Position>) {
        self.is_confirmed = true;
        let is_new = self.wanted == Start::New;
        self.is_partial = is_new && !pattern.is_exact();
        self.is_of_device = self.durable.is_some();
        if let (Some(topic), Some(position)) = (pattern.exact(), position)
            && (position.offset == 0 || is_new)
        {
            self.set_top(&topic, position, None);
        }
    }

    pub(super) fn handle_publication(&mut self, publication: &Arc<Publication<P>>) {
        let latest = Some(Arc::clone(publication));
        self.set_top(&publication.topic, publication.position, latest);
    }

    fn set_top(&mut self, topic: &Topic, position: Position, latest: Option<Arc<Publication<P>>>) {
        let top = self.tops.touch(topic, || Top {
            position,
            latest: None,
        });
        (top.position, top.latest) = (position, latest);
    }

    pub(super) fn handle_reset(&mut self, topic: &Topic, position: Position) {
        if position == Position::default() {
            self.tops.remove(topic);
        } else {
            // The latest value has yet to arrive, and resuming from here must not leave it out.
            let offset = position.offset.saturating_sub(1);
            self.set_top(topic, Position { offset, ..position }, None);
        }
    }

    /// The epoch that a topic was last seen in here.
    pub(super) fn epoch(&self, topic: &Topic) -> Option<u64> {
        self.tops.get(topic).map(|top| top.position.epoch)
    }

    /// The position of an exact pattern's topic, as far as it was seen here.
    pub(super) fn position(&self, pattern: &Pattern) -> Option<Position> {
        Some(self.tops.get(&pattern.exact()?)?.position)
    }

    /// The last publication that was seen of a topic.
    pub(super) fn latest(&self, topic: &Topic) -> Option<&Arc<Publication<P>>> {
        self.tops.get(topic)?.latest.as_ref()
    }

    /// The terminal publication of an exact pattern's topic, if that was seen but the end that follows it was not.
    fn end(&self, pattern: &Pattern) -> Option<&Arc<Publication<P>>> {
        let latest = self.latest(&pattern.exact()?)?;
        latest.is_terminal().then_some(latest)
    }

    /// Returns whether what is still to arrive suits a member with this flow: the server may have conflated it for the
    /// others.
    pub(super) fn serves(&self, flow: Flow) -> bool {
        self.past.serves(flow) && (flow.conflates() || self.past.is_whole())
    }

    /// Returns whether a member with this start is at the position of all members.
    fn is_level(&self, pattern: &Pattern, start: &Start) -> bool {
        let Start::Since(known) = start else {
            return false;
        };
        let known = matching(pattern, known);
        let mut tops = self.tops.iter();
        let is_known = |(topic, top): (&Topic, &Top<P>)| known.get(topic) == Some(&top.position);
        !self.is_partial && known.len() == self.tops.len() && tops.all(is_known)
    }

    /// The frames that bring a newly starting member to the position of all; `None` if only the server can.
    pub(super) fn replay(
        &self,
        pattern: &Pattern,
        flow: Flow,
        start: &Start,
    ) -> Option<Vec<ServerFrame<P>>> {
        if let Some(end) = self.end(pattern) {
            // Only the end itself follows, and a member must not be told of that before it has the terminal
            // publication.
            let has_seen = |known: &TopicPosition| known.position == end.position;
            let knows_end = matches!(start, Start::Since(known) if known.iter().any(has_seen));
            let end = (!knows_end).then(|| again(pattern, end));
            return Some(end.into_iter().collect());
        }
        if self.is_rewinding || self.is_of_device || !self.serves(flow) {
            return None;
        }
        if self.past.has_combined() {
            // What the server holds back to be added up was published before this member subscribed.
            return self.is_level(pattern, start).then(Vec::new);
        }
        let known = match start {
            Start::New => return Some(Vec::new()),
            Start::Latest => OrderedMap::new(),
            Start::Since(known) => matching(pattern, known),
        };
        if self.is_partial || known.keys().any(|topic| self.tops.get(topic).is_none()) {
            return None;
        }
        // A gap is no loss to a member that keeps only the latest value, or that asks for the latest.
        let skips =
            *start == Start::Latest || (pattern.is_exact() && known.is_empty()) || flow.skips();
        let mut frames = Vec::new();
        for (topic, top) in self.tops.iter() {
            let seen = match known.get(topic) {
                Some(seen) if seen.epoch != top.position.epoch => return None,
                Some(seen) => seen.offset,
                None => 0,
            };
            match seen.cmp(&top.position.offset) {
                // Only the server can tell whether what it has seen is still to come, or lost.
                Ordering::Greater => return None,
                Ordering::Equal => {}
                Ordering::Less if seen + 1 < top.position.offset && !skips => return None,
                Ordering::Less => frames.push(again(pattern, top.latest.as_ref()?)),
            }
        }
        Some(frames)
    }
}

/// A publication that was seen here, for a member that hasn't seen it.
pub(super) fn again<P>(pattern: &Pattern, publication: &Arc<Publication<P>>) -> ServerFrame<P> {
    ServerFrame::Publication {
        publication: Arc::clone(publication),
        via: via(pattern),
    }
}

/// The `via` of frames about a pattern: the pattern itself if it has wildcards.
pub(super) fn via(pattern: &Pattern) -> Option<Pattern> {
    (!pattern.is_exact()).then(|| pattern.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_after_a_reset_whose_value_has_not_come_yet_asks_for_it_again() {
        let (topic, pattern) = (Topic::new("job:1").unwrap(), Pattern::new("job:*").unwrap());
        let mut route: Route<u8> = Route::new();
        route.begin(&pattern, &Start::New);
        route.handle_subscribed(&pattern, None);
        let position = |offset| Position { epoch: 7, offset };
        route.handle_reset(&topic, position(12));
        let wanted = route.go_on(&pattern);
        let Start::Since(known) = wanted else {
            panic!("{wanted:?}");
        };
        assert_eq!(known[0].position, position(11));
    }

    #[test]
    fn who_comes_between_a_topics_last_publication_and_its_end_is_given_that_alone() {
        let (topic, pattern) = (Topic::new("job:1").unwrap(), Pattern::new("job:1").unwrap());
        let at = |offset| Position { epoch: 7, offset };
        let mut route: Route<u8> = Route::new();
        route.upstream = Flow::throttle(core::time::Duration::from_secs(1));
        route.begin(&pattern, &Start::Latest);
        route.handle_subscribed(&pattern, None);
        let last = Arc::new(Publication {
            topic: topic.clone(),
            position: at(5),
            payload: 1,
            end: Some(crate::lifecycle::EndReason::Complete),
        });
        route.handle_publication(&last);
        // The server is going back for another member at the same time.
        route.is_rewinding = true;
        let since = |offset| {
            let (topic, position) = (topic.clone(), at(offset));
            Start::Since(alloc::vec![TopicPosition { topic, position }])
        };
        for (start, is_new) in [
            (Start::Latest, true),
            (Start::New, true),
            (since(3), true),
            (since(5), false),
        ] {
            let given = route.replay(&pattern, Flow::IMMEDIATE, &start);
            let given = given.expect("all there is to come is here");
            assert_eq!(given.len(), usize::from(is_new), "{start:?}");
        }
    }
}
