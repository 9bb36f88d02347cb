//! How far a piece of work has come: counted by many, on several servers, and told at a pace that people can follow.
//!
//! Each server is a node with a [`Tracker`]. What the nodes count is a [`Tally`]: a state-based CRDT in which every node
//! writes a share of its own, and nobody else does. Joining two tallies takes the greater of each number, so it is
//! associative, commutative and idempotent: a message that is lost, repeated or overtaken, and a partition that
//! heals, count nothing twice. Nodes tell each other what has changed, and what they know of each other in all, so that whoever
//! missed something asks for it.
//!
//! Speed is a rolling average over a [`Window`] of buckets that each share carries along, on the clock of its own node; nodes whose
//! clocks tell different times agree on it to within one bucket. All arithmetic is in whole numbers, so it is the same
//! on every platform.
//!
//! Of all nodes that hear each other, the one of the lowest number tells the world: [`Notice`]s, each with its own pace.

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
