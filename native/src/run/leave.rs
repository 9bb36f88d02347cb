//! Ends this process as the command ended, so that its parent sees no difference: a shell ends its loop if a command died of Ctrl-C, and
//! continues if it exited by itself, with whatever status.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_current_process_group, setrlimit};
use signal_hook::low_level::emulate_default_handler;

/// Signals cannot end the first process of a container.
const FIRST_PROCESS: u32 = 1;

/// Ends this process by `signal`. Returns if that is impossible.
///
/// While the command has a terminal of its own, keys reach only the command. If one of them sent the signal (`by_key`), the other processes
/// of our group get it now, as our terminal would have sent it to all of them.
pub(super) fn end_by(signal: i32, by_key: bool) {
    if std::process::id() == FIRST_PROCESS || !keep_from_dumping() {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(signal).filter(|_| by_key) {
        // Signals are still caught, so this doesn't end us yet: by the time that we end, the others have got it.
        let _ = kill_current_process_group(signal);
    }
    // A signal that is unknown here is reported by the exit code.
    let _ = emulate_default_handler(signal);
}

/// Prevents this process from dumping core, because the command has dumped its own. Returns whether that worked.
fn keep_from_dumping() -> bool {
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    let limited = setrlimit(Resource::Core, limit).is_ok();
    // On Linux, the limit doesn't apply to a core that is piped to a collecting program.
    #[cfg(target_os = "linux")]
    let limited = {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        limited && set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok()
    };
    limited
}
