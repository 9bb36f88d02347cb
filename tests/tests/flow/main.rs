//! What is sent when, and as what: paces that are pushed up, and deltas.

mod deltas;
mod push_up;
