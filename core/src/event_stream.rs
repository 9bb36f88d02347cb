//! A streaming response, such as Server-Sent Events: when it sends a keep-alive, when it ends, and when it is
//! abandoned.
//!
//! A WebSocket session can ask its client for signs of life. An event stream can only write: whether anyone still reads
//! it shows only in whether the connection accepts bytes.

use core::time::Duration;

use crate::time::Instant;

/// The timings of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStreamConfig {
    /// A stream that has been silent for this long sends a keep-alive. Proxies close connections that are silent for
    /// longer.
    pub keep_alive: Duration,
    /// A connection that accepts nothing for this long, although something is waiting, is given up.
    pub stall_max: Duration,
}

impl Default for EventStreamConfig {
    /// A keep-alive after 15 seconds; giving up after a minute.
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(15),
            stall_max: Duration::from_secs(60),
        }
    }
}

/// What the host must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStreamOutput {
    /// Write a comment, and report it with [`EventStream::handle_written`].
    SayAlive,
    /// End the response: the reader's token has expired.
    End,
    /// Close the connection: nobody reads it.
    GiveUp,
}

/// The deadlines of one event stream.
///
/// `handle_written` and `handle_stalled` report what the connection accepted; call `handle_timeout` for deadlines;
/// after each, drain `poll_output` until `None`.
#[derive(Clone, Debug)]
pub struct EventStream {
    config: EventStreamConfig,
    /// When it last wrote anything, or when it began.
    written: Instant,
    /// Since when the connection has accepted nothing although something is waiting.
    stalled: Option<Instant>,
    ends: Option<Instant>,
    output: Option<EventStreamOutput>,
}

impl EventStream {
    /// A stream that begins `now`, and ends at `ends` at the latest.
    pub const fn new(now: Instant, config: EventStreamConfig, ends: Option<Instant>) -> Self {
        Self {
            config,
            written: now,
            stalled: None,
            ends,
            output: None,
        }
    }

    /// The connection accepted everything.
    pub fn handle_written(&mut self, now: Instant) {
        self.written = now.max(self.written);
        self.stalled = None;
    }

    /// The connection accepts no more for now; `took` says whether it accepted a part.
    pub fn handle_stalled(&mut self, now: Instant, took: bool) {
        if took || self.stalled.is_none() {
            self.stalled = Some(now);
        }
    }

    /// Handles deadlines; calling it early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((at, output)) = self.next() else {
            return;
        };
        if at > now {
            return;
        }
        self.output = Some(output);
        match output {
            EventStreamOutput::SayAlive => self.written = now,
            EventStreamOutput::End => self.ends = None,
            EventStreamOutput::GiveUp => self.stalled = Some(now),
        }
    }

    /// What the host must do next.
    pub const fn poll_output(&mut self) -> Option<EventStreamOutput> {
        self.output.take()
    }

    /// When [`EventStream::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next().map(|(at, _)| at)
    }

    fn next(&self) -> Option<(Instant, EventStreamOutput)> {
        let own = match self.stalled {
            Some(since) => (since + self.config.stall_max, EventStreamOutput::GiveUp),
            None => (
                self.written + self.config.keep_alive,
                EventStreamOutput::SayAlive,
            ),
        };
        let end = self.ends.map(|at| (at, EventStreamOutput::End));
        // If both are due, the end makes the other unnecessary.
        end.into_iter().chain([own]).min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn stream(ends: Option<Instant>) -> EventStream {
        EventStream::new(at(0), EventStreamConfig::default(), ends)
    }

    fn due(stream: &mut EventStream, now: Instant) -> Option<EventStreamOutput> {
        stream.handle_timeout(now);
        stream.poll_output()
    }

    #[test]
    fn a_silent_stream_says_that_it_lives_and_a_busy_one_need_not() {
        let mut stream = stream(None);
        assert_eq!(due(&mut stream, at(14_999)), None);
        assert_eq!(
            due(&mut stream, at(15_000)),
            Some(EventStreamOutput::SayAlive)
        );
        stream.handle_written(at(15_000));
        stream.handle_written(at(20_000));
        assert_eq!(due(&mut stream, at(30_000)), None);
        assert_eq!(stream.poll_timeout(), Some(at(35_000)));
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let mut stream = stream(None);
        stream.handle_stalled(at(1_000), true);
        stream.handle_stalled(at(60_000), true);
        stream.handle_stalled(at(90_000), false);
        assert_eq!(due(&mut stream, at(119_999)), None);
        assert_eq!(
            due(&mut stream, at(120_000)),
            Some(EventStreamOutput::GiveUp)
        );
    }

    #[test]
    fn one_that_has_caught_up_is_silent_from_then_on() {
        let mut stream = stream(None);
        stream.handle_stalled(at(1_000), false);
        stream.handle_written(at(50_000));
        assert_eq!(stream.poll_timeout(), Some(at(65_000)));
    }

    #[test]
    fn a_token_that_ends_ends_the_stream_whatever_else_is_due() {
        let mut stream = stream(Some(at(15_000)));
        assert_eq!(due(&mut stream, at(40_000)), Some(EventStreamOutput::End));
    }

    proptest! {
        #[test]
        fn after_a_deadline_the_next_one_is_later(
            steps in prop::collection::vec((0_u64..100_000, 0_u8..4), 1..40),
            ends in prop::option::of(0_u64..1_000_000),
        ) {
            let mut stream = stream(ends.map(at));
            let mut now = 0;
            for (passed, what) in steps {
                now += passed;
                match what {
                    0 => stream.handle_written(at(now)),
                    1 => stream.handle_stalled(at(now), false),
                    2 => stream.handle_stalled(at(now), true),
                    _ => {
                        while stream.poll_timeout().is_some_and(|due| due <= at(now)) {
                            let due = stream.poll_timeout();
                            stream.handle_timeout(at(now));
                            prop_assert!(stream.poll_output().is_some());
                            prop_assert!(stream.poll_timeout() > due);
                        }
                        stream.handle_timeout(at(now));
                        prop_assert_eq!(stream.poll_output(), None);
                    }
                }
            }
        }
    }
}
