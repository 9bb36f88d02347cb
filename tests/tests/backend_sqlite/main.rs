//! What is particular to topics in an SQLite file; what every backend does is in `conformance_sqlite`.

mod faults;
mod insertions;
mod keeping;
mod place;
mod processes;
