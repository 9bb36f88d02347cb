//! Passes the command's output on as it arrives, and reads progress from it on the way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::progress::ProgressReader;
use super::report::Reporter;
use super::start::{Output, Source};
use super::{DRAIN_MAX, DRAIN_QUIET};

/// The most that is read at a time, in bytes: what a pipe holds by default.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most that the command itself can have left in a pipe when it ended, in bytes.
const LEFT_BYTES_MAX: usize = 1024 * 1024;

/// Passes `output` on until it ends, or until it is no longer the command's own: see
/// [the limits](super#limits). `ended` turns true when the command has ended.
pub(super) async fn forward(
    output: Output,
    reporter: Arc<Reporter>,
    mut ended: watch::Receiver<bool>,
) {
    let Output {
        mut source,
        mut sink,
    } = output;
    let mut reader = ProgressReader::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut rest = Rest::default();
    let mut sink_is_open = true;
    loop {
        let length = next(&mut source, &mut buffer, &mut rest, &mut ended).await;
        if length == 0 {
            break;
        }
        let bytes = &buffer[..length];
        if sink_is_open {
            sink_is_open = sink.write_all(bytes).await.is_ok() && sink.flush().await.is_ok();
        }
        reporter.observed(reader.push(bytes), reader.last_line());
        // Nobody reads any more. Closing the pipe tells the command, as if it had written to our output itself; a
        // terminal that is gone reports it by a signal.
        if !sink_is_open && matches!(source, Source::Pipe(_)) {
            break;
        }
    }
    reporter.observed(reader.finish(), reader.last_line());
}

/// What was passed on since the command ended.
#[derive(Default)]
struct Rest {
    has_ended: bool,
    bytes: usize,
    waited: Duration,
}

impl Rest {
    /// Whether all of the command's own output was passed on. It was there to be read when the command ended, so
    /// whatever had to be waited for is from other processes.
    fn is_enough(&self) -> bool {
        self.bytes >= LEFT_BYTES_MAX || self.waited >= DRAIN_MAX
    }
}

/// Reads the next bytes. 0 means that there are no more, or none worth waiting for.
async fn next(
    source: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    rest: &mut Rest,
    ended: &mut watch::Receiver<bool>,
) -> usize {
    if !rest.has_ended {
        tokio::select! {
            length = read(source, buffer) => return length,
            _ = ended.wait_for(|ended| *ended) => rest.has_ended = true,
        }
    }
    if rest.is_enough() {
        return 0;
    }
    let start = Instant::now();
    let length = timeout(DRAIN_QUIET, read(source, buffer))
        .await
        .unwrap_or(0);
    rest.waited += start.elapsed();
    rest.bytes += length;
    length
}

/// Reads what is there. An error counts as the end, too: a pty whose other end is closed returns one.
async fn read(source: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> usize {
    loop {
        match source.read(buffer).await {
            Ok(length) => return length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return 0,
        }
    }
}
