//! A handle to the thread that owns the file.

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::command::{Command, Ending};
use crate::backend::BackendError;

/// The thread that owns the file. It is told to end when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) commands: Sender<Command>,
    pub(super) ended: oneshot::Receiver<()>,
    pub(super) thread: Option<JoinHandle<Ending>>,
}

impl Running {
    /// Ends the thread, and waits until it has closed the file. Returns why it ended, if it ended by itself.
    pub(super) async fn end(mut self) -> Result<(), BackendError> {
        // The thread may have ended already.
        let _ = self.commands.send(Command::Close);
        // The thread holds the other side, which is the last that it drops.
        let _ = (&mut self.ended).await;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ending::Lost(error))) => Err(error),
            Some(Ok(Ending::Closed)) | None => Ok(()),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close);
    }
}
