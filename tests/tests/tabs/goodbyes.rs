//! Tabs that have said goodbye: nobody waits for them.

use proptest::prelude::*;
use tidegate_tests::tab_model::scene::{leader, tabs_of};
use tidegate_tests::tab_model::{Browser, Path};
use tidegate_tests::{ms, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The numbers of tabs decide whom a leader would ask first, so each browser asks in another order.
    #[test]
    fn a_hidden_leader_hands_over_to_one_that_is_still_there(
        seed in any::<u64>(),
        path in prop::sample::select(vec![Path::Lock, Path::Claims]),
        gone in prop::sample::subsequence(vec![1_usize, 2, 3], 1..=2),
    ) {
        let mut browser = tabs_of(Browser::new(seed, path), 4);
        let old = leader(&browser);
        prop_assert_eq!(old, 0);
        for page in &gone {
            browser.close(*page);
        }
        browser.run_for(secs(1));
        browser.show(old, false, ms(0));
        browser.run_for(secs(6));
        let new = leader(&browser);
        prop_assert!(new != old && !gone.contains(&new), "{} leads", new);
    }
}
