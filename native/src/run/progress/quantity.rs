//! A number in a line, with the unit of bytes after it, if there is one.

/// More digits than this are an identifier, not an amount.
const DIGITS_MAX: usize = 15;

/// An amount read from a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantity {
    /// The number as written.
    pub(super) number: f64,
    /// Whether it was written without a decimal point.
    pub(super) whole: bool,
    /// Bytes per unit, if a unit of bytes was named.
    pub(super) unit: Option<u64>,
    /// The index of the first byte after it.
    pub(super) end: usize,
}

impl Quantity {
    /// The amount in single units, rounded.
    pub(super) fn amount(&self, unit: Option<u64>) -> u64 {
        // At most 15 digits times 10^12: far from where f64 or the cast would saturate unnoticed.
        (self.number * unit.unwrap_or(1) as f64).round() as u64
    }
}

/// The quantity that starts at `start`, such as `12`, `1,234`, `3.4 MB` or `512KiB`.
pub(super) fn quantity(line: &[u8], start: usize) -> Option<Quantity> {
    let mut digits = String::new();
    let mut end = take_digits(line, start, &mut digits)?;
    if end - start <= 3 {
        while let Some(group) = thousands_group(line, end) {
            digits.push_str(group);
            end += 4;
        }
    }
    let whole =
        !(line.get(end) == Some(&b'.') && line.get(end + 1).is_some_and(u8::is_ascii_digit));
    if !whole {
        digits.push('.');
        end = take_digits(line, end + 1, &mut digits)?;
    }
    if digits.len() > DIGITS_MAX {
        return None;
    }
    let number = digits.parse().ok()?;
    let (unit, end) = unit(line, end).map_or((None, end), |(unit, end)| (Some(unit), end));
    Some(Quantity {
        number,
        whole,
        unit,
        end,
    })
}

fn take_digits(line: &[u8], start: usize, digits: &mut String) -> Option<usize> {
    let run = line.get(start..)?;
    let length = run.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > DIGITS_MAX {
        return None;
    }
    digits.push_str(std::str::from_utf8(&run[..length]).ok()?);
    Some(start + length)
}

/// The three digits of a `,123` at `at`.
fn thousands_group(line: &[u8], at: usize) -> Option<&str> {
    let group = line.get(at..at + 4)?;
    let is_group = group[0] == b',' && group[1..].iter().all(u8::is_ascii_digit);
    let ends = !line.get(at + 4).is_some_and(u8::is_ascii_digit);
    (is_group && ends)
        .then(|| std::str::from_utf8(&group[1..]).ok())
        .flatten()
}

/// The unit of bytes at `at`, perhaps after one space: bytes per unit, and where it ends.
fn unit(line: &[u8], at: usize) -> Option<(u64, usize)> {
    let start = at + usize::from(line.get(at) == Some(&b' '));
    let word = line.get(start..)?;
    let length = word
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let (prefix, rest) = match &word[..length] {
        b"B" | b"bytes" | b"Bytes" => return Some((1, start + length)),
        [prefix, rest @ ..] => (prefix, rest),
        [] => return None,
    };
    let step: u64 = match rest {
        b"" | b"B" => 1000,
        b"iB" => 1024,
        _ => return None,
    };
    let power = match prefix {
        b'k' | b'K' => 1,
        b'M' => 2,
        b'G' => 3,
        b'T' => 4,
        _ => return None,
    };
    Some((step.pow(power), start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u64, usize)> {
        quantity(text.as_bytes(), 0).map(|found| (found.amount(found.unit), found.end))
    }

    #[test]
    fn amounts_are_read_with_groups_decimals_and_units() {
        assert_eq!(read("12"), Some((12, 2)));
        assert_eq!(read("1,234,567 files"), Some((1_234_567, 9)));
        assert_eq!(read("1,23"), Some((1, 1)));
        assert_eq!(read("3.4 MB"), Some((3_400_000, 6)));
        assert_eq!(read("512KiB,"), Some((524_288, 6)));
        assert_eq!(read("7 bytes"), Some((7, 7)));
        assert_eq!(read("7 Bananas"), Some((7, 1)));
        assert_eq!(read("7."), Some((7, 1)));
        assert_eq!(read("x"), None);
        assert_eq!(read("1234567890123456"), None);
    }
}
