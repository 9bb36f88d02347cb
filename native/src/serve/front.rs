//! The layer between a connection and the application. It adds who is asking, limits how long a body may take, and notices when an answer
//! is complete.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as AppBody;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Response, Version};
use axum::{BoxError, Router};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::{Instant, Sleep};

use super::handover::{Handover, TakenOver};
use super::stream::Peer;
use super::tally::{Cut, Tally};
use super::watched::Vitals;

/// The most bytes that are read and discarded of a body.
const REST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The application, as one connection sees it.
pub(super) struct Front {
    pub(super) app: TowerToHyperService<Router>,
    pub(super) tally: Arc<Tally>,
    pub(super) peer: Peer,
    pub(super) body_timeout: Duration,
    pub(super) vitals: Arc<Vitals>,
    /// Where an answer goes whose writer takes over the connection; `None` if that is impossible.
    pub(super) slot: Option<Arc<Slot>>,
}

/// The place for such an answer.
pub(super) type Slot = Mutex<Option<TakenOver>>;

impl Service<Request<Incoming>> for Front {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = Answering::begin(&self.vitals);
        self.vitals.cut_short(false);
        let may_hand_over =
            request.version() == Version::HTTP_11 && request.method() == Method::GET;
        let slot = self.slot.clone().filter(|_| may_hand_over);
        let is_multiplexed = request.version() == Version::HTTP_2;
        let mut request = request.map(|body| {
            AppBody::new(TimedBody {
                inner: Some(body),
                is_multiplexed,
                until: Instant::now() + self.body_timeout,
                sleep: None,
                tally: Arc::clone(&self.tally),
                vitals: Arc::clone(&self.vitals),
            })
        });
        let extensions = request.extensions_mut();
        extensions.insert(self.peer);
        extensions.insert(Arc::clone(&self.tally));
        if let Peer::Tcp(address) = self.peer {
            extensions.insert(ConnectInfo::<SocketAddr>(address));
        }
        let unanswered = self.tally.begin_request();
        let answer = self.app.call(request);
        Box::pin(async move {
            let mut response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            drop(unanswered);
            let handover = response.extensions_mut().remove::<Handover>();
            if let (Some(slot), Some(handover)) = (slot, handover)
                && let Some(taken) = handover.take(&response)
            {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
                // The connection finds it there next, and drops this future.
                std::future::pending::<()>().await;
            }
            Ok(response.map(|inner| Answer {
                inner,
                _answering: answering,
            }))
        })
    }
}

/// A request that has no answer yet, or not all of it.
struct Answering(Arc<Vitals>);

impl Answering {
    fn begin(vitals: &Arc<Vitals>) -> Self {
        vitals.watch(super::watch::Watch::handle_request);
        Self(Arc::clone(vitals))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.watch(|watch| watch.handle_answered(Instant::now()));
    }
}

/// The body of an answer, which is over when this is dropped.
pub(super) struct Answer {
    inner: AppBody,
    _answering: Answering,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a request, which has to arrive in time.
struct TimedBody {
    /// `None` once this is being dropped.
    inner: Option<Incoming>,
    /// Whether it is a stream of HTTP/2.
    is_multiplexed: bool,
    until: Instant,
    /// Created when the body has to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    tally: Arc<Tally>,
    vitals: Arc<Vitals>,
}

/// The error of a body that didn't arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
struct BodyTooSlow;

/// Whether a body could not be read because it did not come in time.
pub(crate) fn is_late_body(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<BodyTooSlow>())
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) {
            if frame.is_none() {
                self.inner = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = self.until;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(sleep.as_mut().poll(context));
        self.tally.count_cut(Cut::Body);
        Poll::Ready(Some(Err(BodyTooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let of = |inner: &Incoming| inner.size_hint();
        self.inner.as_ref().map_or_else(SizeHint::default, of)
    }
}

impl Drop for TimedBody {
    /// Has the rest of a body read that was answered before its end, within limits of size and time. Over HTTP/1, the connection does that
    /// after it has ended. Over HTTP/2, it is done here: if the stream is reset instead, clients lose the answer (curl before 8.1 reports
    /// `(92) Stream error`).
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else {
            return;
        };
        if inner.is_end_stream() {
            return;
        }
        if !self.is_multiplexed {
            self.vitals.cut_short(true);
        } else {
            tokio::spawn(tokio::time::timeout_at(self.until, read_rest(inner)));
        }
    }
}

async fn read_rest(mut body: Incoming) {
    let mut left = REST_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else {
            return;
        };
        left = rest;
    }
}
