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
