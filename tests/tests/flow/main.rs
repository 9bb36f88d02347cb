//! What is sent when, and in which form: paces that are pushed up, and deltas.

mod beside_others;
mod collections;
mod converges;
mod deltas;
mod push_up;
mod sums;
