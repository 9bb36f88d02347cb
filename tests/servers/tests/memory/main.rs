//! Topics in memory.

mod conformance;
mod ordeals;
