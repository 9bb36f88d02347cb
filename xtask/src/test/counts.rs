//! Reads the number of tests from a test runner's output.

use std::iter::Sum;
use std::ops::Add;

/// The tests of one or several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Counts {
    /// Adds up the summary lines of Rust's own runner and of Node's in an output. If there is a summary of nextest,
    /// only that counts, because nextest repeats the output of failed tests, which may contain summaries of their own.
    pub(crate) fn in_output(output: &str) -> Self {
        let nextest = output.lines().find(|line| is_nextest(line));
        nextest.map_or_else(|| output.lines().map(Self::in_line).sum(), Self::in_line)
    }

    /// Whether no tests were counted.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn in_line(line: &str) -> Self {
        let line = line.trim();
        if line.starts_with("test result: ") || is_nextest(line) {
            return Self {
                passed: number_before(line, "passed"),
                failed: number_before(line, "failed") + number_before(line, "timed"),
                skipped: number_before(line, "ignored") + number_before(line, "skipped"),
            };
        }
        let Some(node) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else {
            return Self::default();
        };
        Self {
            passed: number_after(node, "pass "),
            failed: number_after(node, "fail ") + number_after(node, "cancelled "),
            skipped: number_after(node, "skipped "),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

fn is_nextest(line: &str) -> bool {
    line.trim_start().starts_with("Summary [") && line.contains(" run: ")
}

/// The number in front of a word: 3 in `5 passed; 3 failed` for `failed`.
fn number_before(line: &str, word: &str) -> u32 {
    let words: Vec<&str> = line
        .split([' ', ';', ',', ':'])
        .filter(|part| !part.is_empty())
        .collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

fn number_after(line: &str, label: &str) -> u32 {
    line.strip_prefix(label)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u32, failed: u32, skipped: u32) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn rusts_own_runner_is_added_up_over_its_programs() {
        let output = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out\n\
                      test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Counts::in_output(output), counts(7, 3, 1));
    }

    #[test]
    fn what_nextest_repeats_of_a_failed_test_is_not_counted_again() {
        let output = "test result: FAILED. 0 passed; 1 failed; 0 ignored\n\
                      Summary [   0.2s] 3 tests run: 2 passed, 1 failed, 0 skipped\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored\n";
        assert_eq!(Counts::in_output(output), counts(2, 1, 0));
    }

    #[test]
    fn nextest_tells_once() {
        let output = "     Summary [   1.203s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 4 skipped\n";
        assert_eq!(Counts::in_output(output), counts(10, 2, 4));
    }

    #[test]
    fn node_tells_in_two_styles() {
        let tap = "# tests 10\n# pass 7\n# fail 1\n# cancelled 1\n# skipped 1\n";
        assert_eq!(Counts::in_output(tap), counts(7, 2, 1));
        let spec = "ℹ tests 9\nℹ pass 7\nℹ fail 1\nℹ skipped 1\n";
        assert_eq!(Counts::in_output(spec), counts(7, 1, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        let output = "3 passed the gate\ntest a ... ok\n# pass the salt\n";
        assert!(Counts::in_output(output).is_empty());
    }
}
