//! The progress of work that several servers do together: counted once, and published at a pace that people can follow.
//!
//! Each server is a node with a [`Tracker`]. What the nodes count is a [`Tally`]: a state-based CRDT in which every
//! node writes only its own share. Joining two tallies takes the greater of each number, so it is associative,
//! commutative and idempotent: lost, repeated and reordered messages, and partitions that heal, count nothing twice.
//! Nodes tell each other what has changed and what they know in total, so a node that missed something asks for it.
//!
//! Speed is a rolling average over a [`Window`] of buckets, which each share carries along, by the clock of its own
//! node. Nodes whose clocks differ agree on it to within one bucket. All arithmetic is in whole numbers, so it is the
//! same on every platform.
//!
//! Of all nodes that can reach each other, the one with the lowest number publishes: [`Notice`]s, each at its own pace.

mod config;
mod estimate;
mod message;
mod notice;
mod register;
mod share;
mod snapshot;
mod tally;
mod tracker;
mod window;

pub use config::{ProgressConfig, ProgressLimits, ProgressPaces};
pub use estimate::{Eta, Velocity};
pub use message::{ProgressBody, ProgressMessage, ProgressMessageType};
pub use notice::{Done, Notice};
pub use register::{Before, Ended, Target};
pub use share::Share;
pub use snapshot::Snapshot;
pub use tally::Tally;
pub use tracker::{ProgressOutput, Tracker};
pub use window::Window;

/// Counts stop here: the largest number that JavaScript holds exactly.
pub const COUNT_MAX: u64 = crate::publication::POSITION_MAX;
