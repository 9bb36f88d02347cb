//! Real servers, started by the tests that need them and gone with them.

mod ports;
pub mod postgres;
pub mod programs;
pub mod redis;
pub mod shared;
