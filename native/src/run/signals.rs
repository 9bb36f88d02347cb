//! The signals that reach us while a command runs.

use std::io;
use std::thread;

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use tokio::sync::mpsc;

/// All signals that are caught: those that are passed on, and those about the terminal.
const CAUGHT: [i32; 8] = [
    SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
];

/// A signal that was caught.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caught {
    pub(super) signal: i32,
    /// Whether it came from the terminal, because no process sent it. The terminal sends it to every process of its
    /// foreground group.
    pub(super) by_terminal: bool,
}

/// Catches signals until it is dropped. After that, they have no effect.
///
/// Create this after the command was started: a signal that is ignored (`nohup`, `&` in a script) has to stay ignored
/// for the command, but one that is caught would get its default effect there.
#[derive(Debug)]
pub(super) struct Signals {
    handle: Handle,
    caught: mpsc::UnboundedReceiver<Caught>,
}

impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new(CAUGHT)?;
        let handle = signals.handle();
        let (sender, caught) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for origin in signals.forever() {
                    let caught = Caught {
                        signal: origin.signal,
                        by_terminal: origin.process.is_none(),
                    };
                    if sender.send(caught).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self { handle, caught })
    }

    /// The next signal. Waits for ever if there can't be any more.
    pub(super) async fn next(&mut self) -> Caught {
        match self.caught.recv().await {
            Some(caught) => caught,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}
