//! Texts from JavaScript: written to this memory, and passed by number to the call that needs them.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use slab::Slab;

use crate::single::Single;

static TEXTS: Single<Slab<Vec<u8>>> = Single::new(Slab::new());

/// Allocates room for a text of `length` bytes, and returns the text's number.
#[unsafe(no_mangle)]
extern "C" fn stage_text(length: u32) -> u32 {
    let number = TEXTS.borrow().insert(vec![0; length as usize]);
    u32::try_from(number).expect("fewer than 2^32 texts fit into this memory")
}

/// Where JavaScript writes the text with a number, in UTF-8.
#[unsafe(no_mangle)]
extern "C" fn text_at(number: u32) -> *mut u8 {
    TEXTS.borrow()[number as usize].as_mut_ptr()
}

/// Takes the text with a number, which becomes free. `None` for a number that no text has, such as 2^32 - 1.
pub(crate) fn take_optional(number: u32) -> Option<String> {
    let bytes = TEXTS.borrow().try_remove(number as usize)?;
    // SAFETY: JavaScript writes the output of `TextEncoder`, which is UTF-8.
    Some(unsafe { String::from_utf8_unchecked(bytes) })
}

/// Takes the text with a number; empty if there is none.
pub(crate) fn take(number: u32) -> String {
    take_optional(number).unwrap_or_default()
}
