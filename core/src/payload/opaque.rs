//! Payloads for tests of machines that never look inside.

use alloc::string::String;

use super::Payload;

/// A payload that can't be combined: a newer one replaces it.
pub(crate) trait Opaque: Clone + PartialEq {
    /// The size in bytes that limits use.
    fn bytes(&self) -> usize;
}

impl<T: Opaque> Payload for T {
    fn merge(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn sum(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        self.bytes()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}
