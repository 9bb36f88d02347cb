//! What a hub emits to its downlinks, and the ids of downlinks and subscriptions.

use crate::lifecycle::EndReason;
use crate::outbox::Delivery;
use crate::protocol::WireError;
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// Identifies a subscription of one hub. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl SubscriptionId {
    /// The smallest id in the order of ids.
    pub(crate) const MIN: Self = Self {
        index: 0,
        generation: 0,
    };

    /// The id as one number below 2^53, for hosts whose integers are floating-point numbers.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64 & 0x1F_FFFF) << 32 | self.index as u64
    }

    /// The id's index: dense, and reused once the subscription has gone.
    pub const fn index(self) -> u32 {
        self.index
    }
}

/// Identifies a downlink of a hub. Its meaning is up to the hub's owner: a connection, a tab, a callback.
pub type DownlinkId = u32;

/// What is due to a downlink.
#[derive(Debug)]
pub enum Due<P> {
    /// An emission of a subscription's gate.
    Deliver {
        /// Whose subscription it is.
        downlink: DownlinkId,
        /// What to deliver, and how it may be conflated on its way.
        delivery: Delivery<P>,
    },
    /// What a subscription missed is lost; the latest value follows, if there is one.
    Reset {
        /// Whose subscription it is.
        downlink: DownlinkId,
        /// The subscription.
        subscription: SubscriptionId,
        /// The topic.
        topic: Topic,
        /// The topic's current position.
        position: Position,
        /// The subscription's pattern, if it has wildcards.
        via: Option<Pattern>,
    },
    /// A subscription has ended with its topic; its terminal publication came before.
    End {
        /// Whose subscription it was.
        downlink: DownlinkId,
        /// The subscription; its id is no longer valid.
        subscription: SubscriptionId,
        /// Its pattern.
        pattern: Pattern,
        /// Why.
        reason: EndReason,
    },
    /// The uplink was too slow for a subscription: publications were dropped, the oldest first.
    Lagged {
        /// Whose subscription it is.
        downlink: DownlinkId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Its pattern.
        pattern: Pattern,
        /// How many.
        missed: u64,
    },
    /// The uplink refused a subscription, which has ended.
    Refused {
        /// Whose subscription it was.
        downlink: DownlinkId,
        /// The subscription; its id is no longer valid.
        subscription: SubscriptionId,
        /// Why.
        error: WireError,
    },
}
