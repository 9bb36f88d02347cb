//! Joins the frames that wait for a connection into one message.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_core::hub::Spread;
use tidegate_core::protocol::{ErrorCode, ServerFrame};
use tidegate_core::publication::Publication;

use super::latency::Stopwatch;
use super::untaken::{Untaken, into_first_publication};
use crate::deflate::Deflater;
use crate::encode::{self, Encoder, Message};
use crate::json::Json;

/// The most frames that leave in one message.
const FRAMES_PER_MESSAGE: usize = 64;

/// A message takes no more frames once it has this many bytes of text: many clients refuse long messages unless they are
/// told otherwise.
const JOINED_BYTES: usize = 16 * 1024;

/// The most joined messages that are remembered within a round.
const JOINED_MAX: usize = 32;

/// Makes one message of the frames that wait together. Connections that wait for the same frames share the message.
#[derive(Default)]
pub(super) struct Joiner {
    encoder: Encoder,
    parts: Vec<Part>,
    /// The messages joined in this round, and their parts.
    joined: Vec<(Vec<Part>, Message)>,
    /// The index of the last message among these, if it was joined.
    last: Option<usize>,
    may_have_more: bool,
    deflater: Deflater,
    /// Longer texts are compressed, for clients that support it.
    compress_above: Option<usize>,
    /// How many frames were taken, and how many messages were made of them.
    pub(super) frames: u64,
    pub(super) messages: u64,
    /// How many errors were sent to clients, by their codes.
    pub(super) errors: Vec<(ErrorCode, u64)>,
    pub(super) stopwatch: Stopwatch,
}

/// A publication as the message that many sockets get.
pub(super) struct Shared {
    pub(super) publication: Arc<Publication<Json>>,
    message: Message,
}

/// A frame on its way into a message.
enum Part {
    /// A publication, which keeps its message for everyone who gets it.
    Publication(Arc<Publication<Json>>),
    /// A message, with the first publication in it, if there is one.
    Message(Message, Option<Arc<Publication<Json>>>),
}

impl Joiner {
    pub(super) fn new(compress_above: Option<usize>) -> Self {
        Self {
            compress_above,
            ..Self::default()
        }
    }

    /// Returns the bytes of the frames that `next` returns, as many as one message takes; `None` if there are none.
    /// `deflates` says whether the client supports compressed messages.
    pub(super) fn next_message(
        &mut self,
        deflates: bool,
        next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Option<&Bytes> {
        self.gather(next);
        self.frames += self.parts.len() as u64;
        self.messages += u64::from(!self.parts.is_empty());
        self.last = (self.parts.len() > 1).then(|| self.join());
        let message = match self.last {
            Some(at) => &self.joined[at].1,
            None => self.parts.first()?.message(),
        };
        let compress_above = self.compress_above.filter(|_| deflates);
        Some(bytes_of(message, compress_above, &mut self.deflater))
    }

    /// A publication as a message of its own, for everyone who gets it by the same pattern.
    pub(super) fn share(&mut self, spread: &Spread<Json>) -> Shared {
        let publication = Arc::clone(&spread.publication);
        let message = match &spread.via {
            None => encode::publication_message(&publication).clone(),
            Some(via) => self.encoder.message(&ServerFrame::Publication {
                publication: Arc::clone(&publication),
                via: Some(via.clone()),
            }),
        };
        Shared {
            publication,
            message,
        }
    }

    /// The bytes of the message, to be written now. `deflates` says whether the client supports compressed messages.
    pub(super) fn bytes_of<'a>(&mut self, shared: &'a Shared, deflates: bool) -> &'a Bytes {
        self.stopwatch.see(&shared.publication);
        self.frames += 1;
        self.messages += 1;
        let compress_above = self.compress_above.filter(|_| deflates);
        bytes_of(&shared.message, compress_above, &mut self.deflater)
    }

    fn gather(&mut self, mut next: impl FnMut() -> Option<ServerFrame<Json>>) {
        self.parts.clear();
        self.may_have_more = true;
        let mut bytes = 0;
        while self.parts.len() < FRAMES_PER_MESSAGE && bytes < JOINED_BYTES {
            let Some(frame) = next() else {
                self.may_have_more = false;
                return;
            };
            let part = match frame {
                ServerFrame::Publication {
                    publication,
                    via: None,
                } => {
                    self.stopwatch.see(&publication);
                    Part::Publication(publication)
                }
                frame => {
                    self.look_at(&frame);
                    let message = self.encoder.message(&frame);
                    Part::Message(message, into_first_publication(frame))
                }
            };
            bytes += part.message().text_len();
            self.parts.push(part);
        }
    }

    fn look_at(&mut self, frame: &ServerFrame<Json>) {
        if let ServerFrame::Publication { publication, .. } = frame {
            self.stopwatch.see(publication);
        } else if let ServerFrame::Error(error) = frame {
            match self.errors.iter_mut().find(|(code, _)| *code == error.code) {
                Some((_, count)) => *count += 1,
                None => self.errors.push((error.code, 1)),
            }
        }
    }

    /// What a reader misses if it doesn't accept the last message.
    pub(super) fn untaken(&self) -> Untaken {
        let parts = self.last.map_or(&self.parts, |at| &self.joined[at].0);
        Untaken::of(parts.iter().filter_map(Part::publication))
    }

    /// Whether there may be frames after those of the last message.
    pub(super) const fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// The index, among those joined, of the message of the gathered parts.
    fn join(&mut self) -> usize {
        let parts = &self.parts;
        let known = self.joined.iter().position(|(known, _)| {
            known.len() == parts.len() && known.iter().zip(parts).all(|(one, other)| one.is(other))
        });
        known.unwrap_or_else(|| {
            // Connections that lag, each at a different position, share little.
            if self.joined.len() == JOINED_MAX {
                self.joined.clear();
            }
            let message = Message::join(self.parts.iter().map(Part::message));
            self.joined.push((std::mem::take(&mut self.parts), message));
            self.joined.len() - 1
        })
    }

    /// Drops the messages of the finished round.
    pub(super) fn forget(&mut self) {
        self.encoder.forget();
        self.stopwatch.end_round();
        self.parts.clear();
        self.joined.clear();
        self.last = None;
    }
}

/// The bytes of a message: compressed if its text is longer than `compress_above` and compression makes it shorter.
fn bytes_of<'a>(
    message: &'a Message,
    compress_above: Option<usize>,
    deflater: &mut Deflater,
) -> &'a Bytes {
    let is_long = compress_above.is_some_and(|bytes_max| message.text_len() > bytes_max);
    let deflated = is_long.then(|| message.deflated(deflater));
    deflated.flatten().unwrap_or(message.framed())
}

impl Part {
    fn message(&self) -> &Message {
        match self {
            Self::Publication(publication) => encode::publication_message(publication),
            Self::Message(message, _) => message,
        }
    }

    fn publication(&self) -> Option<&Arc<Publication<Json>>> {
        match self {
            Self::Publication(publication) => Some(publication),
            Self::Message(_, publication) => publication.as_ref(),
        }
    }

    /// Whether both are the same in memory.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Publication(one), Self::Publication(other)) => Arc::ptr_eq(one, other),
            (Self::Message(one, _), Self::Message(other, _)) => one.is(other),
            (Self::Publication(_), Self::Message(..))
            | (Self::Message(..), Self::Publication(_)) => false,
        }
    }
}
