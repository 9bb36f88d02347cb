//! The policies that a connection's subscriptions have chosen for when it is slow.

use super::Delivery;
use crate::flow::{Conflate, Slow};
use crate::hub::SubscriptionId;
use crate::sorted::SortedMap;

#[derive(Clone, Debug)]
pub(super) struct Slowness {
    /// The policy of all that haven't chosen one.
    pub(super) of_all: Option<Slow>,
    pub(super) of: SortedMap<SubscriptionId, Slow>,
}

impl Slowness {
    pub(super) const fn new() -> Self {
        Self {
            of_all: None,
            of: SortedMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of_all.is_none() && self.of.keys().next().is_none()
    }

    fn policy(&self, subscription: SubscriptionId) -> Option<Slow> {
        self.of.get(&subscription).copied().or(self.of_all)
    }

    pub(super) fn disconnects(&self, subscription: SubscriptionId) -> bool {
        self.policy(subscription) == Some(Slow::Disconnect)
    }

    /// Makes a delivery wait in the way that its subscription's policy requires.
    pub(super) fn apply<P>(&self, delivery: &mut Delivery<P>) {
        match self.policy(delivery.subscription) {
            None => {}
            Some(Slow::Conflate) => {
                delivery.conflate = delivery.conflate.or(Some(Conflate::Latest));
            }
            Some(Slow::Drop | Slow::Disconnect) => delivery.conflate = None,
        }
    }
}
