//! What crosses crates: behaviour vectors, the two sides of the protocol against each other, real parts.
