//! Leases: what a client's task holds on behalf of its callers.

use tokio::sync::mpsc;

use super::request::Request;

/// Something that the client's task holds for a caller, until this is dropped. The lease is sent with the answer itself, so that it also
/// ends if the caller has gone before the answer arrived.
pub(super) struct Lease {
    requests: mpsc::UnboundedSender<Request>,
    /// The request that ends it.
    end: Option<Box<Request>>,
}

impl Lease {
    pub(super) fn new(requests: mpsc::UnboundedSender<Request>, end: Request) -> Self {
        Self {
            requests,
            end: Some(Box::new(end)),
        }
    }

    /// The channel to the task, for other requests.
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
