//! What is sent when, and as what: paces that are pushed up, and deltas.

mod beside_others;
mod collections;
mod converges;
mod deltas;
mod push_up;
mod sums;
