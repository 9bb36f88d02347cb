//! Real servers, each started for one test and gone with it.

pub mod postgres;
pub mod redis;
