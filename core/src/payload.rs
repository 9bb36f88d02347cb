//! What the core needs to know about a payload: only how two of them combine, how large it is, and what a text member
//! says.

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
    /// Merging patches in order and then applying the result equals applying them one by one, where a member that is an object in
    /// one of them is in all, or is `null` in the last: a `null` member survives the merge of two *patches*, implementations keep it. No patch can say
    /// that a member is gone and that something else has come in its place.
    fn merge(&self, newer: &Self) -> Self;

    /// `self` and `newer` added up, field by field: numbers add, objects recurse, and whatever is not a
    /// number on both sides is taken from `newer`. A field that only one side has is kept.
    fn sum(&self, newer: &Self) -> Self;

    /// The shortest RFC 7396 merge patch that is known to turn `self` into `newer`; `None` where there is none (a `null` member can't be
    /// set by one), or where looking for it is not worth it.
    fn diff(&self, _newer: &Self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// `self` with a patch applied as RFC 7396 says: a `null` member removes. `None` where the payload can't do that.
    fn patched(&self, _patch: &Self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// The top-level member `field`, where the payload is an object and the member a string.
    ///
    /// Asked once per publication, where it enters the system, by the terminal rule.
    fn text_field(&self, field: &str) -> Option<String>;

    /// The size that limits are counted in, in bytes. A handle whose size is unknown says 0.
    fn size(&self) -> usize;

    /// How many bytes it takes in a frame. Asked where a frame is sent, so that a handle may look.
    fn encoded_bytes(&self) -> usize {
        self.size()
    }

    /// Whether both are the same value, as far as that can be told without parsing: two copies of one publication are.
    fn is_same(&self, other: &Self) -> bool;
}

/// For tests of machines that never look inside, and for signals that carry nothing.
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
