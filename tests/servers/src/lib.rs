//! Tests of the backends with real servers: what they promise, and what they must survive.
//!
//! [`mod@conformance`] has a function for each promise of a backend. [`ordeal`] surrounds a backend with hubs, jobs and
//! watchers, while the test injects faults. [`servers`] starts the servers that backends connect to, [`proxy`] breaks
//! the connections to them, [`heard`] records the events of a backend, [`refusals`] are about publishes that it
//! refuses, [`damage`] about data that it can't read, [`disconnects`] about ending the connections of users, and
//! [`guests`] about programs that use it without being a server.

pub mod conformance;
pub mod damage;
pub mod disconnects;
pub mod guests;
pub mod heard;
pub mod ordeal;
pub mod proxy;
pub mod refusals;
pub mod servers;
