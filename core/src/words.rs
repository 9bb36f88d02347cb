//! Error messages put together without the standard library's formatting, which would take up more of a browser's
//! module than a machine of the core does.

use alloc::string::String;

/// A number in decimal digits.
pub(crate) fn decimal(number: usize) -> String {
    digits(number as u64, 10, 1)
}

/// A number in the digits of a `radix` of at most 16, padded with zeros to `width` digits.
pub(crate) fn digits(number: u64, radix: u64, width: usize) -> String {
    let mut text = match (number / radix, width) {
        (0, ..=1) => String::new(),
        (higher, _) => digits(higher, radix, width.saturating_sub(1)),
    };
    text.extend(char::from_digit((number % radix) as u32, radix as u32));
    text
}

/// Joins the parts of a sentence.
pub(crate) fn sentence(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(number in any::<u64>(), small in 0..100_000_usize) {
            prop_assert_eq!(digits(number, 10, 1), format!("{number}"));
            prop_assert_eq!(digits(number, 16, 1), format!("{number:x}"));
            prop_assert_eq!(digits(small as u64, 16, 4), format!("{small:04x}"));
            prop_assert_eq!(decimal(small), format!("{small}"));
        }
    }
}
