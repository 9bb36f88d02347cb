//! The open connection of a client. It writes and reads at the same time, so that a peer that accepts nothing delays neither timers nor
//! anything else.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink as _, StreamExt as _};
use tidegate_core::protocol::MessageRoom;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::socket::Socket;

/// How long a peer has to accept the last frames and the close frame.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// An open connection. The core limits how much may be in flight to a server, and thereby how much waits here.
pub(super) struct Line {
    socket: Socket,
    waiting: VecDeque<String>,
    /// The longest message that the server accepts, in bytes, if it has said so.
    message_bytes_max: Option<u64>,
}

impl Line {
    pub(super) const fn new(socket: Socket) -> Self {
        Self {
            socket,
            waiting: VecDeque::new(),
            message_bytes_max: None,
        }
    }

    /// Queues a frame.
    pub(super) fn push(&mut self, frame: String, message_bytes_max: Option<u64>) {
        self.waiting.push_back(frame);
        self.message_bytes_max = message_bytes_max;
    }

    /// Writes what is queued, as far as the peer accepts it, and returns the next message from the peer. It is cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|context| {
            let written = self.poll_write(context);
            // The peer's last messages come before the error that it accepts no more.
            match (self.socket.poll_next_unpin(context), written) {
                (Poll::Ready(message), _) => Poll::Ready(message),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Some(Err(error))),
                (Poll::Pending, _) => Poll::Pending,
            }
        })
        .await
    }

    /// Writes what is still queued, and a close frame. A peer that accepts neither notices the end of the connection.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            poll_fn(|context| self.poll_write(context)).await?;
            self.socket.close(None).await
        };
        let _ = tokio::time::timeout(GOODBYE_MAX, goodbye).await;
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.waiting.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(context))?;
            let message = Message::text(self.message());
            Pin::new(&mut self.socket).start_send(message)?;
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Takes the next queued frames, as many as fit into one message.
    fn message(&mut self) -> String {
        let mut room = MessageRoom::new();
        let mut frames = Vec::new();
        while let Some(next) = self.waiting.front() {
            if room.begins(next.len(), self.message_bytes_max) && !frames.is_empty() {
                break;
            }
            frames.extend(self.waiting.pop_front());
        }
        match <[String; 1]>::try_from(frames) {
            Ok([single]) => single,
            Err(several) => format!("[{}]", several.join(",")),
        }
    }
}
