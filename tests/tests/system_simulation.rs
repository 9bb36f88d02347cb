//! Runs the whole system, with everything that can go wrong, for one seed after the other. No promise may be broken on
//! the way; once faults are healed, every subscriber must have the latest state of its topics; and nothing may be left
//! of clients that leave. A second run, in which every machine is also woken after each step, must be the same.
//!
//! `TIDEGATE_SEEDS=1000..2000` runs other seeds. More of them at a time: `cargo xtask sim`.

use tidegate_tests::simulation::{Scenario, run, run_restless, save, shrink};
use tidegate_tests::trace::Keeping;

/// The first seeds, of which every run has as many.
const SEEDS: u64 = 500;

/// Seeds that once failed.
const FOUND: [u64; 41] = [
    4, 200_016, 200_047, 301_566, 302_737, 303_908, 304_921, 400_928, 402_487, 404_110, 404_397,
    406_355, 406_990, 408_704, 408_771, 409_558, 410_106, 425_421, 428_709, 435_126, 439_442,
    503_665, 504_813, 505_081, 505_441, 511_882, 514_992, 523_956, 533_844, 535_256, 639_192,
    728_300, 764_067, 772_796, 917_358, 1_608_099, 1_636_796, 1_725_467, 1_920_917, 1_936_170,
    2_030_702,
];

/// The number of runs for shrinking a failing scenario.
const TRIES: usize = 200;

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("TIDEGATE_SEEDS") else {
        let found = FOUND.into_iter().filter(|seed| *seed >= SEEDS);
        return (0..SEEDS).chain(found).collect();
    };
    let (first, last) = text.split_once("..").expect("a range of seeds");
    let number = |text: &str| text.parse().expect("a range of seeds");
    (number(first)..number(last)).collect()
}

/// Every second seed of the range, so that two threads share the work.
fn check(from: usize) {
    for seed in seeds().into_iter().skip(from).step_by(2) {
        let scenario = Scenario::draw(seed);
        let first = run(&scenario, Keeping::Fingerprint);
        if let Some(failure) = first.failure {
            let path = save(&shrink(&scenario, TRIES)).expect("there is room for it");
            panic!("seed {seed}: {failure:#?}\nsee {}", path.display());
        }
        let again = run_restless(&scenario, Keeping::Fingerprint);
        assert_eq!(again.failure, None, "seed {seed}, woken before its time");
        assert_eq!(again.fingerprint, first.fingerprint, "seed {seed} differs");
    }
}

#[test]
fn every_first_seed_keeps_all_promises_and_repeats_itself() {
    check(0);
}

#[test]
fn every_second_seed_keeps_all_promises_and_repeats_itself() {
    check(1);
}
