//! Randomness that the host seeds, so that a run can be repeated.

/// SplitMix64: small, fast, and good enough for jitter and identifiers. Not for secrets.
///
/// The algorithm is Steele, Lea and Flood's ("Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence for `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `most`, inclusive; evenly distributed, except for a bias below 2^-32 in the ranges used here.
    pub const fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(span) => self.next_u64() % span,
            None => self.next_u64(),
        }
    }
}

#[cfg(test)]
impl Random {
    /// The sequence whose `nth` number (0 is the first) is `bits`, for cases that would take years to occur by chance.
    pub(crate) const fn giving(mut bits: u64, nth: u64) -> Self {
        // The inverse of `next_u64`.
        bits = (bits ^ (bits >> 31) ^ (bits >> 62)).wrapping_mul(0x3196_42B2_D24D_8EC3);
        bits = (bits ^ (bits >> 27) ^ (bits >> 54)).wrapping_mul(0x96DE_1B17_3F11_9089);
        bits = bits ^ (bits >> 30) ^ (bits >> 60);
        Self::new(bits.wrapping_sub((nth + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_gives_a_number_where_it_is_wanted() {
        for wanted in [0, 1, 1 << 40, u64::MAX] {
            assert_eq!(Random::giving(wanted, 0).next_u64(), wanted);
            let mut later = Random::giving(wanted, 1);
            later.next_u64();
            assert_eq!(later.next_u64(), wanted);
        }
    }

    #[test]
    fn a_seed_fixes_the_sequence_and_the_range_holds() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        for most in [0, 1, 9, 1_000, u64::MAX] {
            let value = a.up_to(most);
            assert_eq!(value, b.up_to(most));
            assert!(value <= most);
        }
        assert_ne!(Random::new(1).next_u64(), Random::new(2).next_u64());
    }
}
