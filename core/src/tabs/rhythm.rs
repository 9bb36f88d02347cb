//! How often signs of life arrive: a tab that gets one every few milliseconds need not wait seconds before it becomes
//! suspicious.

use core::time::Duration;

use crate::time::Instant;

/// A silence of this many times the usual gap is suspicious.
const USUAL_TIMES: u32 = 8;

/// The usual gap between signs of life: the longest recent one, which decays by an eighth with each further sign. So it
/// takes a stream of them, not just two in a row, to make a tab impatient.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Instant>,
    usual: Option<Duration>,
}

impl Rhythm {
    /// There was a sign of life. Returns how long to wait for the next one: from `least` to `most`.
    pub(super) fn handle_life(
        &mut self,
        now: Instant,
        least: Duration,
        most: Duration,
    ) -> Duration {
        let longest = most / USUAL_TIMES;
        let gap = self.last.map_or(longest, |last| now - last);
        let before = self.usual.map_or(longest, |usual| usual - usual / 8);
        let usual = before.max(gap).min(longest);
        self.last = Some(now);
        self.usual = Some(usual);
        (usual * USUAL_TIMES).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(5);

    /// The patience after signs of life with these gaps between them.
    fn patience(gaps_ms: impl IntoIterator<Item = u64>) -> Duration {
        let mut rhythm = Rhythm::default();
        let mut now = Instant::ZERO;
        let mut patience = rhythm.handle_life(now, LEAST, MOST);
        for gap in gaps_ms {
            now = now + Duration::from_millis(gap);
            patience = rhythm.handle_life(now, LEAST, MOST);
        }
        patience
    }

    #[test]
    fn a_stream_makes_impatient_within_its_first_twenty() {
        assert_eq!(patience([5; 20]), LEAST);
        assert_eq!(patience([50; 20]), LEAST);
        assert_eq!(patience([100; 20]), Duration::from_millis(800));
    }

    #[test]
    fn a_few_in_a_row_make_nobody_impatient() {
        assert_eq!(patience([]), MOST);
        assert!(patience([1; 5]) > MOST / 2);
    }

    #[test]
    fn one_long_pause_is_enough_to_be_patient_again() {
        let stream = core::iter::repeat_n(5, 1_000);
        assert_eq!(
            patience(stream.clone().chain([600])),
            Duration::from_millis(4_800)
        );
        assert_eq!(patience(stream.chain([600, 4_800])), MOST);
    }
}
