//! Topics in a Redis Cluster.

mod conformance;
mod ordeals;
#[path = "../redis/rig.rs"]
#[allow(dead_code, reason = "single servers use more of it")]
mod rig;
mod slots;
