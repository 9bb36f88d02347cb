//! The time that this thread has spent on a processor; where that is not known, the time that has passed.

use std::time::Duration;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod of_this_system {
    use super::Duration;

    /// Linux's name of a thread's own clock.
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;

    #[repr(C)]
    struct TimeSpec {
        seconds: i64,
        nanoseconds: i64,
    }

    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut TimeSpec) -> i32;
    }

    pub(crate) type Reading = Duration;

    pub(crate) fn now() -> Reading {
        let mut time = TimeSpec {
            seconds: 0,
            nanoseconds: 0,
        };
        // SAFETY: the pointer is to a value of the layout that 64-bit Linux writes there.
        let result = unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(result, 0, "every thread has this clock");
        Duration::new(time.seconds as u64, time.nanoseconds as u32)
    }

    pub(crate) fn since(started: Reading) -> Duration {
        now() - started
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod of_this_system {
    use std::time::Instant;

    use super::Duration;

    pub(crate) type Reading = Instant;

    pub(crate) fn now() -> Reading {
        Instant::now()
    }

    pub(crate) fn since(started: Reading) -> Duration {
        started.elapsed()
    }
}

pub(crate) use of_this_system::{now, since};
