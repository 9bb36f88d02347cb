//! An event stream as the body of a response, written by an HTTP server.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use futures_core::Stream;
use tidegate_core::event_stream as core;
use tidegate_core::event_stream::EventStreamOutput;
use tidegate_core::time::Instant;
use tokio::time::{Instant as HostInstant, Sleep};

use crate::encode::Encoder;
use crate::event_stream::{ALIVE, EventStream, OPENING};
use crate::serve::Handover;

/// The body of a response. It is empty if a shard has taken the stream.
pub(super) struct EventBody {
    stream: Handover,
    /// Created by the first poll, because a body that a shard takes over needs none.
    pace: Option<Pace>,
}

/// The stream's deadlines, which apply even if nothing arrives.
struct Pace {
    begun: HostInstant,
    deadlines: core::EventStream,
    sleep: Pin<Box<Sleep>>,
}

impl EventBody {
    pub(super) const fn new(stream: Handover) -> Self {
        Self { stream, pace: None }
    }
}

impl Stream for EventBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let own = &mut *self;
        let polled = own.stream.with(|stream| {
            let Some(pace) = &mut own.pace else {
                own.pace = Some(Pace::begin(stream));
                return Poll::Ready(Some(Bytes::from_static(OPENING)));
            };
            pace.poll(stream, context)
        });
        polled
            .unwrap_or(Poll::Ready(None))
            .map(|chunk| chunk.map(Ok))
    }
}

impl Pace {
    fn begin(stream: &EventStream) -> Self {
        let context = &stream.context;
        let ends = context.ends_in().map(|left| Instant::ZERO + left);
        let deadlines = core::EventStream::new(Instant::ZERO, context.deadlines, ends);
        Self {
            begun: HostInstant::now(),
            deadlines,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    fn poll(&mut self, stream: &mut EventStream, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Before frames are read: a stream that is never silent has to end with its reader's token, too.
        self.deadlines.handle_timeout(self.now());
        match self.deadlines.poll_output() {
            Some(EventStreamOutput::End | EventStreamOutput::GiveUp) => return Poll::Ready(None),
            Some(EventStreamOutput::SayAlive) => {
                return Poll::Ready(Some(Bytes::from_static(ALIVE)));
            }
            None => {}
        }
        let mut chunk = Vec::new();
        let mut encoder = Encoder::default();
        let is_over = loop {
            match stream.reader.poll_frame(context) {
                Poll::Ready(Some(frame)) => {
                    stream
                        .context
                        .standing
                        .write_event(&mut chunk, &frame, &mut encoder);
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if !chunk.is_empty() {
            self.deadlines.handle_written(self.now());
            return Poll::Ready(Some(Bytes::from(chunk)));
        }
        if is_over {
            return Poll::Ready(None);
        }
        let Some(at) = self.deadlines.poll_timeout() else {
            return Poll::Pending;
        };
        self.sleep.as_mut().reset(self.begun + (at - Instant::ZERO));
        ready!(self.sleep.as_mut().poll(context));
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.begun.elapsed()
    }
}
