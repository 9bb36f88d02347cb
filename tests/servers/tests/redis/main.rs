//! Topics in a Redis.

mod conformance;
mod disconnects;
mod faults;
mod guests;
mod messages;
mod ordeals;
mod refusals;
mod restricted;
mod rig;
mod storing;
