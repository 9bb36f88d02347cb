//! Publishes that wait for their answer, and are repeated on the next connection.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::protocol::{ClientFrame, ErrorCode, PublishRequest, WireError};
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Requests<P> {
    unanswered: BTreeMap<u64, PublishRequest<P>>,
    next: u64,
    /// Makes this client's idempotency keys differ from any other's.
    key_prefix: u64,
    requests_max: usize,
}

impl<P: Clone> Requests<P> {
    pub(super) const fn new(seed: u64, requests_max: usize) -> Self {
        Self {
            unanswered: BTreeMap::new(),
            next: 1,
            key_prefix: Random::new(seed ^ 0x7075_626c_6973_6873).next_u64(),
            requests_max,
        }
    }

    /// Takes a publish in, and gives it a number and, where it has none, an idempotency key.
    pub(super) fn add(
        &mut self,
        mut publish: PublishRequest<P>,
    ) -> Result<(u64, ClientFrame<P>), (u64, WireError)> {
        let request = self.next;
        self.next += 1;
        if self.unanswered.len() >= self.requests_max {
            let message = format!(
                "{} publishes wait for their answer; wait for some of them",
                self.requests_max
            );
            let error = WireError::new(ErrorCode::TooManyRequests, message);
            return Err((request, error.about_request(request)));
        }
        let key_prefix = self.key_prefix;
        publish
            .id
            .get_or_insert_with(|| format!("{key_prefix:x}-{request}"));
        self.unanswered.insert(request, publish.clone());
        Ok((request, ClientFrame::Publish { request, publish }))
    }

    /// Whether the request was waiting for the answer that came.
    pub(super) fn remove(&mut self, request: u64) -> bool {
        self.unanswered.remove(&request).is_some()
    }

    /// Every unanswered publish, in order.
    pub(super) fn resend(&self) -> impl Iterator<Item = ClientFrame<P>> {
        self.unanswered
            .iter()
            .map(|(request, publish)| ClientFrame::Publish {
                request: *request,
                publish: publish.clone(),
            })
    }

    pub(super) fn take_all(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.unanswered).into_keys().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.unanswered.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }
}
