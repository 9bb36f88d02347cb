//! Topics in a Redis.

mod conformance;
mod faults;
mod guests;
mod messages;
mod ordeals;
mod refusals;
mod restricted;
mod rig;
mod storing;
