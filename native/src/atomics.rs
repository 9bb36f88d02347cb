//! The atomics of the files whose lock-free code is tested under every interleaving of its threads. Those tests compile the same files with
//! loom's atomics in place of these.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
