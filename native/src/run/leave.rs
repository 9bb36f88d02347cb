//! Ending as the command did, so that whoever started us sees no difference: a shell ends its loop where a command died of
//! Ctrl-C, and goes on where one exited by itself, with whatever number.

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_current_process_group, setrlimit};
use signal_hook::low_level::emulate_default_handler;

/// Signals cannot end the first process of a container.
const FIRST_PROCESS: u32 = 1;

/// Ends this process by `signal`. Returns where that can't be done.
///
/// Keys reach the command alone while it has a terminal of its own. If one of them sent the signal (`by_key`), the other
/// processes of our group get it now, as our terminal would have given it to all of them.
pub(super) fn end_by(signal: i32, by_key: bool) {
    if std::process::id() == FIRST_PROCESS || !keep_from_dumping() {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(signal).filter(|_| by_key) {
        // Signals are still caught, so that this ends us not yet: whoever sees us end has got it by then.
        let _ = kill_current_process_group(signal);
    }
    // A signal that is not known here is told by the exit code.
    let _ = emulate_default_handler(signal);
}

/// Sees to it that we leave no core: the command has left its own. Whether that is so.
fn keep_from_dumping() -> bool {
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    let limited = setrlimit(Resource::Core, limit).is_ok();
    // A limit does not keep Linux from handing a core to a program that collects them.
    #[cfg(target_os = "linux")]
    let limited = {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        limited && set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok()
    };
    limited
}
