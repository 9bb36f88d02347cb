//! Runs one target under libFuzzer: the one that `TIDEGATE_FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TIDEGATE_FUZZ_TARGET").expect("TIDEGATE_FUZZ_TARGET names a target");
    target(&name).expect("TIDEGATE_FUZZ_TARGET names one of the targets")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
