//! How an uplink may have conflated what is still to arrive: it continues with the old flow until it learns of a new
//! one.

use super::{Conflate, Flow};

/// The conflations that the uplink was asked for since it was last known to send everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    latest: bool,
    merge: bool,
    sum: bool,
}

impl Past {
    /// Adds the flow that it is being asked for.
    pub(crate) const fn then(self, flow: Flow) -> Self {
        if !flow.conflates() {
            return self;
        }
        match flow.conflate {
            Conflate::Latest => Self {
                latest: true,
                ..self
            },
            Conflate::Merge => Self {
                merge: true,
                ..self
            },
            Conflate::Sum => Self { sum: true, ..self },
            Conflate::Collect { .. } => self,
        }
    }

    /// Returns whether nothing can be missing from what is still to arrive.
    pub(crate) fn is_whole(self) -> bool {
        self == Self::default()
    }

    /// Returns whether the uplink may have applied this conflation.
    pub(crate) const fn has(self, conflate: Conflate) -> bool {
        match conflate {
            Conflate::Latest => self.latest,
            Conflate::Merge => self.merge,
            Conflate::Sum => self.sum,
            Conflate::Collect { .. } => false,
        }
    }

    /// Returns whether values may arrive that combine several publications.
    pub(crate) const fn has_combined(self) -> bool {
        self.merge || self.sum
    }

    /// Returns whether a subscriber with this flow can use what is still to arrive: it is as it was published, or
    /// conflated as this flow would conflate it. A subscriber to the latest value can do without earlier ones; if it
    /// wants every publication, it is told of those that are missing.
    pub(crate) const fn serves(self, flow: Flow) -> bool {
        let Self { latest, merge, sum } = self;
        match flow.conflate {
            Conflate::Latest => !merge && !sum,
            Conflate::Merge if flow.conflates() => !latest && !sum,
            Conflate::Sum if flow.conflates() => !latest && !merge,
            Conflate::Merge | Conflate::Sum | Conflate::Collect { .. } => !latest && !merge && !sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;
    use core::time::Duration;

    use alloc::vec::Vec;

    use super::*;

    const COLLECT: Conflate = Conflate::Collect {
        max: NonZeroU32::MIN,
    };
    const ALL: [Conflate; 4] = [Conflate::Latest, Conflate::Merge, Conflate::Sum, COLLECT];

    /// A flow is served by its own conflation, and the latest value also if it wants every publication.
    #[test]
    fn an_uplink_serves_whom_it_gives_what_is_asked_for() {
        let throttle = Flow::throttle(Duration::from_millis(100));
        let paces = [Flow::IMMEDIATE, throttle].into_iter();
        let flows = paces.flat_map(|pace| ALL.map(|conflate| pace.with_conflate(conflate)));
        let flows: Vec<Flow> = flows.collect();
        for some in 0..1_u32 << flows.len() {
            let asked = flows
                .iter()
                .enumerate()
                .filter(|(at, _)| some >> at & 1 == 1);
            let asked: Vec<Flow> = asked.map(|(_, flow)| *flow).collect();
            let past = asked
                .iter()
                .fold(Past::default(), |past, flow| past.then(*flow));
            let conflating = asked.iter().filter(|flow| flow.conflates());
            let known: Vec<Conflate> = conflating.map(|flow| flow.conflate).collect();
            for conflate in ALL {
                assert_eq!(past.has(conflate), known.contains(&conflate));
            }
            assert_eq!(past.is_whole(), known.is_empty());
            let is_combined = |known: &Conflate| *known != Conflate::Latest;
            assert_eq!(past.has_combined(), known.iter().any(is_combined));
            for flow in &flows {
                let takes_its_own = flow.conflates() || flow.conflate == Conflate::Latest;
                let serves = known
                    .iter()
                    .all(|known| takes_its_own && *known == flow.conflate);
                assert_eq!(past.serves(*flow), serves, "{asked:?} {flow:?}");
            }
        }
    }
}
