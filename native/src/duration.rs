//! Durations as people write them.

/// Milliseconds from `250`, `250ms`, `1s`, `1.5s`, `2m`, `1h`, `7d`; `None` for anything else.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let is_number = !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| is_number)?;
    let millis = (number * factor).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked against the range of u64"
    )]
    (millis < 1e18).then_some(millis as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let cases = [
            ("250", 250),
            ("250ms", 250),
            ("1s", 1000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration_ms(text), Some(millis), "{text}");
        }
        for text in ["", "s", "-1s", "1w", "1e9", "one", "1 s", "nan", "1..2"] {
            assert_eq!(parse_duration_ms(text), None, "{text}");
        }
    }
}
