//! How an uplink may have conflated what is still to come: it goes on with what it was asked for until it has heard of anything else.

use super::{Conflate, Flow};

/// The conflations that it was asked for since it was last known to send everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    latest: bool,
    merge: bool,
    sum: bool,
}

impl Past {
    /// What holds once it is asked for this flow.
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

    /// Whether nothing may be missing in what is still to come.
    pub(crate) fn is_whole(self) -> bool {
        self == Self::default()
    }

    /// Whether it may have conflated so.
    pub(crate) const fn has(self, conflate: Conflate) -> bool {
        match conflate {
            Conflate::Latest => self.latest,
            Conflate::Merge => self.merge,
            Conflate::Sum => self.sum,
            Conflate::Collect { .. } => false,
        }
    }

    /// Whether values may come that are made of several.
    pub(crate) const fn has_combined(self) -> bool {
        self.merge || self.sum
    }

    /// Whether somebody of this flow can take what is still to come: it is as it was published, or conflated as it would be for that one
    /// alone. Who wants the latest can do without earlier ones, and is told of it where it wants everything.
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

    /// Whoever would have it conflated so alone can take it, and whoever wants the latest can do without earlier ones.
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
