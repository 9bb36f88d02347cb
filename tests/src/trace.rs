//! What happened in a run, line by line: as text, as a fingerprint of it, or not at all.

use std::fmt::{self, Write};
use std::ops::Deref;

use tidegate_core::time::Instant;

/// How much is kept of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Every line, to be read.
    Text,
    /// A number that tells two runs apart.
    Fingerprint,
    /// Nothing: a run of which only the outcome counts.
    Nothing,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    keeping: Keeping,
    text: String,
    fingerprint: Fnv,
}

impl Trace {
    /// An empty one.
    pub const fn new(keeping: Keeping) -> Self {
        Self {
            keeping,
            text: String::new(),
            fingerprint: Fnv(0xCBF2_9CE4_8422_2325),
        }
    }

    /// Notes what happens now.
    pub fn note(&mut self, now: Instant, what: fmt::Arguments<'_>) {
        let micros = now.as_micros();
        let noted = match self.keeping {
            Keeping::Text => writeln!(self.text, "{micros:>12} {what}"),
            Keeping::Fingerprint => writeln!(self.fingerprint, "{micros} {what}"),
            Keeping::Nothing => Ok(()),
        };
        noted.expect("there is room for everything");
    }

    /// Tells runs apart of which a fingerprint was kept.
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
