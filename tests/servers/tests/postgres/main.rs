//! Topics in a PostgreSQL database.

mod conformance;
mod database;
mod disconnects;
mod faults;
mod guests;
mod insertions;
mod keeping;
mod ordeals;
mod refusals;
