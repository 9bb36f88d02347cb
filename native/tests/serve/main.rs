//! The serving loop: its limits and its TLS.

#[path = "../support/mod.rs"]
mod support;

mod limits;
mod stopping;
mod tls;
