//! The costs that grow with a cluster: what its backend carries, what its servers say to each other, and what comes when a
//! server dies. The machines are the real ones; `docs/SCALE.md` says what of it is sampled.

pub mod channels;
pub mod chart;
pub mod presences;
pub mod storm;
