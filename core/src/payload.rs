//! What the core needs from a payload: how two of them combine, how large it is, and the value of a text member.

#[cfg(test)]
pub(crate) mod opaque;

use alloc::string::String;

/// A publication's content, opaque to the core.
///
/// On a server it is raw JSON in shared bytes, in a browser a handle to a JavaScript value. The core
/// moves payloads and drops them; only the conflations that must look inside ask the payload to
/// do so, through this trait.
pub trait Payload {
    /// The older value (`self`) with `newer` applied to it as an RFC 7396 merge patch.
    ///
    /// Merging patches in order and then applying the result equals applying them one by one, if a member that is an
    /// object in one of them is an object in all, or `null` in the last. So implementations must keep a `null` member
    /// when they merge two *patches*. No patch can express that a member was removed and then replaced by something
    /// else.
    fn merge(&self, newer: &Self) -> Self;

    /// `self` and `newer` added up, field by field: numbers add, objects recurse, and whatever is not a
    /// number on both sides is taken from `newer`. A field that only one side has is kept.
    fn sum(&self, newer: &Self) -> Self;

    /// A short RFC 7396 merge patch that turns `self` into `newer`; `None` if there is none (no patch can set a member
    /// to `null`), or if looking for one isn't worth it.
    fn diff(&self, _newer: &Self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// `self` with a patch applied according to RFC 7396, in which a `null` member removes. `None` if the payload can't
    /// do that.
    fn patched(&self, _patch: &Self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// The top-level member `field`, if the payload is an object and the member a string.
    ///
    /// Called by the terminal rule, once per publication, where it enters the system.
    fn text_field(&self, field: &str) -> Option<String>;

    /// The size in bytes that limits use. A handle whose size is unknown returns 0.
    fn size(&self) -> usize;

    /// How many bytes it takes in a frame. Called when a frame is sent, so a handle may look at the value.
    fn encoded_bytes(&self) -> usize {
        self.size()
    }

    /// Returns whether both are the same value, as far as that can be told without parsing. Two copies of one
    /// publication are.
    fn is_same(&self, other: &Self) -> bool;
}

/// For tests of machines that never look inside, and for signals without content.
impl Payload for () {
    fn merge(&self, _newer: &Self) -> Self {}

    fn sum(&self, _newer: &Self) -> Self {}

    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        0
    }

    fn is_same(&self, _other: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_weighs_nothing_and_is_like_any_other() {
        assert_eq!(().size(), 0);
        assert!(().is_same(&()));
        assert_eq!(().text_field("status"), None);
    }
}
