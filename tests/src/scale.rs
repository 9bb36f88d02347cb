//! The costs that grow with a cluster: the channels at its backend, the messages between its servers, and the
//! reconnects after a server dies. The state machines are the real ones; `docs/SCALE.md` says what is sampled.

pub mod channels;
pub mod chart;
pub mod presences;
pub mod storm;
