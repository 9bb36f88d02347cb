//! What every backend does, and what it lives through, with real servers.
//!
//! [`mod@conformance`] is what a backend promises, each promise a function. [`ordeal`] surrounds a backend with hubs, jobs and
//! watchers, for the test to do its worst to it. [`servers`] starts what backends connect to, [`proxy`] breaks the
//! way there, [`heard`] is what a backend tells, [`refusals`] are what it does not take, [`damage`] is what it can't read, [`disconnects`] end the connections of users, and [`guests`] are programs that use it
//! without being a server.

pub mod conformance;
pub mod damage;
pub mod disconnects;
pub mod guests;
pub mod heard;
pub mod ordeal;
pub mod proxy;
pub mod refusals;
pub mod servers;
