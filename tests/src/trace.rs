//! The events of a run, line by line: kept as text, as a fingerprint, or not at all.

use std::fmt::{self, Write};
use std::ops::Deref;

use tidegate_core::time::Instant;

/// How much is kept of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Every line, to be read.
    Text,
    /// A number that distinguishes runs.
    Fingerprint,
    /// Nothing, if only the outcome matters.
    Nothing,
}

/// The events of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    keeping: Keeping,
    text: String,
    fingerprint: Fnv,
}

impl Trace {
    /// An empty trace.
    pub const fn new(keeping: Keeping) -> Self {
        Self {
            keeping,
            text: String::new(),
            fingerprint: Fnv(0xCBF2_9CE4_8422_2325),
        }
    }

    /// Notes an event.
    pub fn note(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        let micros = now.as_micros();
        let noted = match self.keeping {
            Keeping::Text => writeln!(self.text, "{micros:>12} {what}"),
            Keeping::Fingerprint => writeln!(self.fingerprint, "{micros} {what}"),
            Keeping::Nothing => Ok(()),
        };
        noted.expect("there is room for everything");
    }

    /// The fingerprint, if one was kept.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint.0
    }
}

impl Deref for Trace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Fowler, Noll and Vo's hash, in its variant 1a.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Ok(())
    }
}
