//! What errors say, put together without the standard library's formatting: that would weigh more in a browser than a
//! machine of the core.

use alloc::string::String;
use alloc::vec::Vec;

/// A number in decimal digits.
pub(crate) fn decimal(number: usize) -> String {
    digits(number as u64, 10, 1)
}

/// A number in the digits of a `radix` of at most 16, with as many zeros before it as make it `width` digits long.
pub(crate) fn digits(mut number: u64, radix: u64, width: usize) -> String {
    let mut reversed = Vec::new();
    while number > 0 || reversed.len() < width {
        let digit = char::from_digit((number % radix) as u32, radix as u32);
        reversed.push(digit.unwrap_or_default());
        number /= radix;
    }
    reversed.into_iter().rev().collect()
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
