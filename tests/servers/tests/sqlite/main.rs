//! Topics in an SQLite file.

mod conformance;
mod disconnects;
mod faults;
mod guests;
mod insertions;
mod keeping;
mod ordeals;
mod place;
mod processes;
mod refusals;
