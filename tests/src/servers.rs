//! Real servers, started by the tests that need them and gone with them.

pub mod postgres;
pub mod redis;
pub mod shared;
