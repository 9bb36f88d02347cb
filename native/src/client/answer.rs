//! Answers to publishes, which the caller may await, and the client when it flushes.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::WireError;
use tidegate_core::publication::Position;
use tokio::sync::oneshot;
use tokio::task::coop::unconstrained;

use super::ClientError;

/// Below this number of answers, removing those that have arrived is not worth a pass.
const SWEPT_MIN: usize = 64;

/// A future of the answer to a publish that was queued with [`Client::enqueue`](super::Client::enqueue). Dropping it
/// doesn't affect the publish.
#[must_use = "only the answer tells whether the publication was refused; drop it where that does not matter"]
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
    /// The error is `None` if nobody is left to answer.
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
pub(super) struct Unanswered(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// The unanswered ones, and those answered since the last sweep.
    answers: Vec<Shared<Receiving>>,
    /// The number of entries at which the next sweep is due.
    sweep_at: usize,
}

impl Unanswered {
    pub(super) fn add(&self, receiving: Receiving) -> Answer {
        let answer = receiving.shared();
        let mut waiting = self.lock();
        if waiting.answers.len() >= waiting.sweep_at {
            // Answered ones may be anywhere, because refusals come before the answers of a server. The doubling bounds
            // how often each entry is looked at, however long the others wait.
            waiting.answers.retain(|answer| !is_answered(answer));
            waiting.sweep_at = (2 * waiting.answers.len()).max(SWEPT_MIN);
        }
        waiting.answers.push(answer.clone());
        Answer(answer)
    }

    /// Waits until everything that is unanswered now has its answer.
    pub(super) async fn flush(&self) {
        let waiting = self.lock().answers.clone();
        for answer in waiting {
            // The caller that published it gets the error.
            let _ = answer.await;
        }
    }

    pub(super) fn count(&self) -> usize {
        let waiting = self.lock();
        let unanswered = waiting.answers.iter().filter(|answer| !is_answered(answer));
        unanswered.count()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_answered(answer: &Shared<Receiving>) -> bool {
    // Without `unconstrained`, tokio would report answers as pending to a task that has polled many.
    unconstrained(answer.clone()).now_or_never().is_some()
}

#[cfg(test)]
mod tests {
    use tidegate_core::protocol::ErrorCode;

    use super::*;

    const ACCEPTED: usize = 1024;
    const REFUSED: usize = 20_000;

    /// Queues publishes of which the first ones wait for a server, and all others are refused at once. The answers are
    /// dropped.
    fn publish(unanswered: &Unanswered) -> Vec<oneshot::Sender<Result<Position, WireError>>> {
        let mut waiting = Vec::new();
        for number in 0..ACCEPTED + REFUSED {
            let (reply, receiver) = oneshot::channel();
            drop(unanswered.add(Receiving::Server(receiver)));
            if number < ACCEPTED {
                waiting.push(reply);
            } else {
                let refused = WireError::new(ErrorCode::TooManyRequests, "too many wait");
                reply.send(Err(refused)).unwrap();
            }
        }
        waiting
    }

    #[tokio::test]
    async fn what_is_answered_is_neither_counted_nor_kept() {
        let task = tokio::spawn(async {
            let unanswered = Unanswered::default();
            let waiting = publish(&unanswered);
            let kept = unanswered.lock().answers.len();
            (unanswered.count(), kept, waiting)
        });
        let (count, kept, _waiting) = task.await.unwrap();
        assert_eq!(count, ACCEPTED);
        assert!(kept <= 2 * ACCEPTED, "{kept} are kept");
    }

    #[tokio::test]
    async fn a_flush_ends_with_the_last_answer() {
        let unanswered = Unanswered::default();
        let waiting = publish(&unanswered);
        let mut flush = std::pin::pin!(unanswered.flush());
        assert!(flush.as_mut().now_or_never().is_none());
        drop(waiting);
        flush.await;
        assert_eq!(unanswered.count(), 0);
    }
}
