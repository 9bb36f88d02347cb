//! Answers to publishes, which whoever asked may await, and the client when it flushes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::WireError;
use tidegate_core::publication::Position;
use tokio::sync::oneshot;

use super::ClientError;

/// The answer to a publish that was queued by [`Client::enqueue`](super::Client::enqueue). Dropping it leaves the
/// publish as it is.
pub struct Answer(Shared<Receiving>);

impl Future for Answer {
    type Output = Result<Position, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.0.poll_unpin(context));
        Poll::Ready(answer.map_err(|refused| match refused {
            Some(error) => ClientError::Refused(error),
            None => ClientError::Closed,
        }))
    }
}

/// Where the answer comes from.
pub(super) enum Receiving {
    Server(oneshot::Receiver<Result<Position, WireError>>),
    Hub(oneshot::Receiver<Result<Position, PublishError>>),
}

impl Future for Receiving {
    /// `None` where nobody is left to answer.
    type Output = Result<Position, Option<WireError>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match self.get_mut() {
            Self::Server(answer) => ready!(answer.poll_unpin(context)),
            Self::Hub(answer) => ready!(answer.poll_unpin(context))
                .map(|result| result.map_err(|error| error.to_wire())),
        };
        Poll::Ready(match answer {
            Ok(result) => result.map_err(Some),
            Err(_) => Err(None),
        })
    }
}

/// The publishes without an answer, in their order.
#[derive(Default)]
pub(super) struct Unanswered(Mutex<VecDeque<Shared<Receiving>>>);

impl Unanswered {
    pub(super) fn add(&self, receiving: Receiving) -> Answer {
        let answer = receiving.shared();
        let mut waiting = self.lock();
        // Answers come about in order, so that those which are there are found at the front.
        while waiting.front().is_some_and(is_answered) {
            waiting.pop_front();
        }
        waiting.push_back(answer.clone());
        Answer(answer)
    }

    /// Waits until all that is unanswered now has its answer.
    pub(super) async fn flush(&self) {
        let waiting = self.lock().clone();
        for answer in waiting {
            // Whoever published it is told.
            let _ = answer.await;
        }
    }

    pub(super) fn count(&self) -> usize {
        let waiting = self.lock();
        waiting.iter().filter(|answer| !is_answered(answer)).count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Shared<Receiving>>> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_answered(answer: &Shared<Receiving>) -> bool {
    answer.clone().now_or_never().is_some()
}
