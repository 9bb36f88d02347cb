//! The atomics of what threads share by rules of its own: of those files that are tested in every order of their steps, with others in
//! place of these.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
