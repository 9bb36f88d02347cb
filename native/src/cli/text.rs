//! Makes texts of others safe to show on a terminal, in a place of a given width.

use unicode_width::UnicodeWidthChar as _;

/// Replaces what a terminal would act on, or what would change the order of the text, by spaces: control characters,
/// direction marks and line breaks.
pub(super) fn clean(text: &str) -> String {
    let is_acted_on = |character: char| {
        character.is_control()
            || matches!(character,
                '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = |character| {
        if is_acted_on(character) {
            ' '
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
}

/// How many columns a clean text takes.
pub(super) fn width(text: &str) -> usize {
    let widths = text.chars().map(|character| character.width().unwrap_or(0));
    widths.sum()
}

/// The beginning of a clean text that fits into `columns`, with `…` if it was cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |character: &char| {
        let taken = character.width().unwrap_or(0);
        let fits = taken <= left;
        left = left.saturating_sub(taken);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A clean text that takes exactly `columns`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut kept = cut(text, columns);
    let missing = columns.saturating_sub(width(&kept));
    kept.extend(std::iter::repeat_n(' ', missing));
    kept
}

/// A duration in at most two units: `8s`, `4m 07s`, `2h 13m`, `3d 04h`.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis.saturating_add(500) / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..172_800 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{}d {:02}h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_acts_on() {
        let hostile = "a\x1b[2J\u{9b}31m\r\nb\u{202e}c\u{7f}\u{2028}d";
        assert_eq!(clean(hostile), "a [2J 31m  b c  d");
    }

    #[test]
    fn wide_characters_are_counted_as_wide() {
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日… ");
        assert_eq!(fit("ab", 4), "ab  ");
    }

    #[test]
    fn spans_have_two_units() {
        for (millis, expected) in [
            (0, "0s"),
            (59_499, "59s"),
            (60_000, "1m 00s"),
            (3_599_000, "59m 59s"),
            (7_980_000, "2h 13m"),
            (273_600_000, "3d 04h"),
        ] {
            assert_eq!(span(millis), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_fitted_has_its_width(text in ".{0,40}", columns in 0_usize..30) {
            let fitted = fit(&clean(&text), columns);
            prop_assert_eq!(width(&fitted), columns, "{:?}", fitted);
        }
    }
}
