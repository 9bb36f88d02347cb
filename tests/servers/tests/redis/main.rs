//! Topics in a Redis.

mod conformance;
mod faults;
mod guests;
mod messages;
mod ordeals;
mod refusals;
mod rig;
mod storing;
