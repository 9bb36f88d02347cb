//! Topics in an SQLite file.

mod conformance;
mod faults;
mod guests;
mod insertions;
mod keeping;
mod ordeals;
mod place;
mod processes;
mod refusals;
