//! What happens to a command's output, and what a terminal shows.

#![cfg(unix)]

#[path = "../run_support/mod.rs"]
mod run_support;

mod interrupts;
mod output;
mod status;
mod sub;
mod terminal;
mod top;
