//! What a client's task gave out and takes back.

use tokio::sync::mpsc;

use super::request::Request;

/// Something that the client's task holds for somebody, until this is dropped. The answer itself carries it, so that what is
/// answered to somebody who has gone meanwhile is taken back, too.
pub(super) struct Lease {
    requests: mpsc::UnboundedSender<Request>,
    /// What takes it back.
    end: Option<Box<Request>>,
}

impl Lease {
    pub(super) fn new(requests: mpsc::UnboundedSender<Request>, end: Request) -> Self {
        Self {
            requests,
            end: Some(Box::new(end)),
        }
    }

    /// Asks the task for something else.
    pub(super) const fn requests(&self) -> &mpsc::UnboundedSender<Request> {
        &self.requests
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // A task that is gone holds nothing.
            let _ = self.requests.send(*end);
        }
    }
}
