//! Real servers, which are started by the tests that need them, and end with them.

mod ports;
pub mod postgres;
pub mod programs;
pub mod redis;
pub mod shared;
