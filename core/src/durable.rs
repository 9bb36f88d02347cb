//! Durable subscriptions: a device that was away gets what it missed, and never again what it has acknowledged.
//!
//! Nothing is copied for absent devices, because topics keep a history anyway. All that is stored of a durable
//! subscription is a [`Cursor`]: how far its device has acknowledged each topic. A later subscription under the same
//! name starts there.
//!
//! ```text
//!   subscribe, durable     placed        claimed                    acknowledged
//!  ────────────────────▶ Placing ─▶ Claiming ─▶ Starting ─▶ live ───────────────▶ stored, at most once a second
//! ```
//!
//! - **Claimed before it starts.** A claim gives the cursor a new term. A holder of an earlier term can't move it any
//!   more, so a late write of one server never overwrites what another one has written.
//! - **At least once.** A cursor moves only when its device confirms that it has processed something. If a server dies
//!   before it has stored that, the publications are sent again; topic, epoch and offset reveal the repetition.
//! - **Never lost silently.** If a topic keeps less than was missed, a reset comes first, and then everything it keeps.
//!   The same happens for a topic that the cursor has never known and that has started anew since its first epoch.
//! - **One device.** What one of several subscribers of a client, or of several tabs of a browser, has processed counts
//!   for all of them. A subscriber that joins gets what nobody has processed, so a position covers everything before
//!   it, whoever reports it.

mod acks;
mod deliveries;
mod held;
mod keeper;
mod shelf;

use core::time::Duration;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::limits::DURABLE_NAME_BYTES_MAX;
use crate::protocol::TopicPosition;
use crate::topic::Pattern;

pub(crate) use acks::Acks;
pub(crate) use deliveries::Deliveries;
pub(crate) use keeper::{Claimed, Keeper};
pub use shelf::Shelf;

/// The name of a durable subscription: of a device, or of anything else that goes away and comes back.
///
/// It distinguishes the devices of a user. If clients are not authenticated, it is all that identifies a cursor: then
/// it must be a text that nobody can guess.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurableName(Arc<str>);

/// A text that is not a [`DurableName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a durable subscription has 1 to {DURABLE_NAME_BYTES_MAX} bytes without control characters"
)]
pub struct DurableNameError;

impl DurableName {
    /// Checks a name.
    ///
    /// # Errors
    /// If it is empty, longer than [`DURABLE_NAME_BYTES_MAX`], or contains control characters.
    pub fn new(name: &str) -> Result<Self, DurableNameError> {
        let is_fit = (1..=DURABLE_NAME_BYTES_MAX).contains(&name.len());
        if !is_fit || name.chars().any(char::is_control) {
            return Err(DurableNameError);
        }
        Ok(Self(name.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Identifies a cursor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CursorKey {
    /// The user, if known. Users can't reach each other's cursors.
    pub user: Option<Arc<str>>,
    /// The device.
    pub name: DurableName,
    /// What is subscribed to.
    pub pattern: Pattern,
}

impl CursorKey {
    /// The owner as a text, for stores: [`owner_of`] the user, or an empty text if the user is not known.
    pub fn owner(&self) -> String {
        self.user.as_deref().map_or_else(String::new, owner_of)
    }
}

/// A user as a text that is never empty, so that stores can distinguish it from an unknown user: `=` and the name.
pub fn owner_of(user: &str) -> String {
    format!("={user}")
}

/// A user's cursor, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The device.
    pub name: DurableName,
    /// Its pattern.
    pub pattern: Pattern,
    /// The positions up to which it has acknowledged.
    pub positions: Vec<TopicPosition>,
    /// How long ago it was last claimed or stored.
    pub unused_for: Duration,
}

/// The positions up to which a device has acknowledged a subscription's topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Increases with each claim. What is stored under an earlier term no longer counts.
    pub term: u64,
    /// The positions, at most [`DURABLE_TOPICS_MAX`](crate::limits::DURABLE_TOPICS_MAX). Other topics are wanted from
    /// the beginning of their first epoch.
    pub positions: Vec<TopicPosition>,
}

/// A request to a store of cursors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorCall {
    /// Return the cursor with a new term, one above its own. If there is none, store this one and return it.
    Claim {
        /// Identifies the cursor.
        key: CursorKey,
        /// The cursor to begin with.
        beginning: Cursor,
    },
    /// Replace the positions of a cursor if it is still in this term; otherwise, change nothing.
    Store {
        /// Identifies the cursor.
        key: CursorKey,
        /// Its term and its positions.
        cursor: Cursor,
    },
    /// Delete the cursor.
    Remove {
        /// Identifies the cursor.
        key: CursorKey,
    },
    /// List a user's cursors, by name and pattern. This changes none of them.
    List {
        /// The user.
        user: Arc<str>,
    },
}

impl CursorCall {
    /// The cursor that the call is about, if it is about one.
    pub const fn key(&self) -> Option<&CursorKey> {
        match self {
            Self::Claim { key, .. } | Self::Store { key, .. } | Self::Remove { key } => Some(key),
            Self::List { .. } => None,
        }
    }
}

/// The answer to a [`CursorCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorAnswer {
    /// Answers [`CursorCall::Claim`].
    Claimed {
        /// The cursor, in its new term.
        cursor: Cursor,
        /// How many expired cursors were found and deleted; this one may have been among them.
        forgotten: u64,
    },
    /// Answers [`CursorCall::Store`] and [`CursorCall::Remove`], whether or not there was anything to do.
    Done,
    /// Answers [`CursorCall::List`]. Expired cursors are not included.
    Listed(Vec<Remembered>),
    /// The limit on cursors is reached, or there is no room for more.
    Full,
    /// No cursors are kept here.
    Unsupported,
}

/// The limits on cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorLimits {
    /// How long an unused cursor is kept.
    pub age_max: Duration,
    /// The most cursors of one user. Cursors without a known user only count in total.
    pub per_user_max: usize,
    /// The most cursors in total.
    pub total_max: usize,
}

impl Default for CursorLimits {
    /// 30 days, 100 per user, 100,000 in total.
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(30 * 24 * 3600),
            per_user_max: 100,
            total_max: 100_000,
        }
    }
}

/// Figures about the durable subscriptions of a server's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurableCounts {
    /// Cursors that its connections hold.
    pub held: usize,
    /// Held cursors that have moved and are not stored yet.
    pub unstored: usize,
    /// How many times a cursor was stored.
    pub stored: u64,
    /// Durable subscriptions that were refused because a limit was reached.
    pub refused: u64,
    /// Cursors that were deleted because they had expired.
    pub forgotten: u64,
}

impl DurableCounts {
    /// Adds the figures of another shard or server.
    pub const fn add(&mut self, other: &Self) {
        self.held += other.held;
        self.unstored += other.unstored;
        self.stored += other.stored;
        self.refused += other.refused;
        self.forgotten += other.forgotten;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_short_and_has_no_control_characters(name in "[a-zé\\u{0}-\\u{1f}]{0,2}|[a-zé]{120,130}") {
            let is_fit = (1..=DURABLE_NAME_BYTES_MAX).contains(&name.len());
            let is_name = is_fit && !name.chars().any(char::is_control);
            prop_assert_eq!(DurableName::new(&name).is_ok(), is_name);
        }

        #[test]
        fn what_shards_have_counted_is_added_up(one in prop::array::uniform5(0..9_u32), other in prop::array::uniform5(0..9_u32)) {
            let counts = |numbers: [u32; 5]| DurableCounts {
                held: numbers[0] as usize,
                unstored: numbers[1] as usize,
                stored: numbers[2].into(),
                refused: numbers[3].into(),
                forgotten: numbers[4].into(),
            };
            let mut sum = counts(one);
            sum.add(&counts(other));
            prop_assert_eq!(sum, counts(core::array::from_fn(|at| one[at] + other[at])));
        }
    }
}
