//! Writes the chunks of event streams: frames that wait together become one chunk. Streams of one and the same topic that wait for the same
//! publications share the chunk; the ids of other streams are their own.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::Publication;

use super::local::payload_bytes;
use super::untaken::Untaken;
use crate::encode::Encoder;
use crate::event_stream::{Standing, chunk, write_publication};
use crate::json::Json;

/// The most frames that leave in one chunk.
const FRAMES_PER_CHUNK: usize = 64;

/// A chunk takes no more frames once it has this many bytes of payloads: it is held as a whole while its socket is full.
const CHUNK_BYTES: usize = 16 * 1024;

/// The most chunks that are remembered within a round.
const SHARED_MAX: usize = 32;

/// Makes chunks.
#[derive(Default)]
pub(super) struct EventWriter {
    encoder: Encoder,
    frames: Vec<ServerFrame<Json>>,
    /// The chunks of this round, and the publications in them.
    shared: Vec<(Vec<Arc<Publication<Json>>>, Bytes)>,
    may_have_more: bool,
    /// How many frames were taken, and how many chunks were made of them.
    pub(super) written: u64,
    pub(super) chunks: u64,
}

impl EventWriter {
    /// Returns the bytes of the frames that `next` returns, as many as one chunk takes, for a stream with this standing; `None` if there is
    /// nothing to send.
    pub(super) fn next_chunk(
        &mut self,
        standing: &mut Standing,
        mut next: impl FnMut() -> Option<ServerFrame<Json>>,
    ) -> Option<Bytes> {
        loop {
            self.gather(&mut next);
            if self.frames.is_empty() {
                return None;
            }
            self.written += self.frames.len() as u64;
            let written = if self.is_same_for_all(standing) {
                Some(self.shared_chunk(standing))
            } else {
                self.own_chunk(standing)
            };
            if written.is_some() || !self.may_have_more {
                self.chunks += u64::from(written.is_some());
                return written;
            }
        }
    }

    fn gather(&mut self, next: &mut impl FnMut() -> Option<ServerFrame<Json>>) {
        self.frames.clear();
        self.may_have_more = true;
        let mut bytes = 0;
        while self.frames.len() < FRAMES_PER_CHUNK && bytes < CHUNK_BYTES {
            let Some(frame) = next() else {
                self.may_have_more = false;
                return;
            };
            bytes += payload_bytes(&frame);
            self.frames.push(frame);
        }
    }

    /// What a reader misses if it doesn't accept the last chunk.
    pub(super) fn untaken(&self) -> Untaken {
        Untaken::in_frames(self.frames.iter())
    }

    /// Whether there may be frames after those of the last chunk.
    pub(super) const fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    fn is_same_for_all(&self, standing: &Standing) -> bool {
        let mut frames = self.frames.iter();
        frames.all(|frame| publication(frame).is_some_and(|known| standing.shares(known)))
    }

    fn shared_chunk(&mut self, standing: &mut Standing) -> Bytes {
        let publications = self.frames.iter().filter_map(publication);
        if let Some(last) = publications.clone().next_back() {
            standing.id.advance(&last.topic, last.position);
        }
        let known = self.shared.iter().find(|(known, _)| {
            known.len() == self.frames.len()
                && known
                    .iter()
                    .zip(publications.clone())
                    .all(|(one, other)| Arc::ptr_eq(one, other))
        });
        if let Some((_, chunk)) = known {
            return chunk.clone();
        }
        // Streams that lag, each at a different position, share little.
        if self.shared.len() == SHARED_MAX {
            self.shared.clear();
        }
        let bytes = publications
            .clone()
            .map(|publication| publication.payload.as_str().len() + 192);
        let room = Vec::with_capacity(bytes.sum());
        let chunk = chunk(room, |out| {
            for publication in publications.clone() {
                write_publication(out, publication);
            }
        });
        let chunk = chunk.unwrap_or_default();
        self.shared
            .push((publications.map(Arc::clone).collect(), chunk.clone()));
        chunk
    }

    fn own_chunk(&mut self, standing: &mut Standing) -> Option<Bytes> {
        let Self {
            encoder, frames, ..
        } = self;
        chunk(Vec::new(), |out| {
            for frame in frames.iter() {
                standing.write_event(out, frame, encoder);
            }
        })
    }

    /// Drops the chunks of the finished round.
    pub(super) fn forget(&mut self) {
        self.encoder.forget();
        self.frames.clear();
        self.shared.clear();
    }
}

/// The publication of a frame, if its event is the same for all streams of only its topic.
fn publication(frame: &ServerFrame<Json>) -> Option<&Arc<Publication<Json>>> {
    match frame {
        ServerFrame::Publication {
            publication,
            via: None,
        } => Some(publication),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Deref as _;

    use tidegate_core::publication::Position;
    use tidegate_core::topic::{Pattern, Topic};

    use super::*;
    use crate::event_stream::Beginning;

    fn standing(topics: &[&str]) -> Standing {
        let patterns = topics.iter().map(|text| Pattern::new(text).expect("valid"));
        let patterns: Vec<_> = patterns.collect();
        Standing::new(&patterns, None, None, Beginning::Latest)
    }

    fn frames(offsets: std::ops::Range<u64>) -> Vec<ServerFrame<Json>> {
        frames_of("a", offsets)
    }

    fn frames_of(topic: &str, offsets: std::ops::Range<u64>) -> Vec<ServerFrame<Json>> {
        let publication = |offset| {
            Arc::new(Publication {
                topic: Topic::new(topic).expect("valid"),
                position: Position { epoch: 7, offset },
                payload: Json::from_text("{\"n\":1}").expect("valid"),
                end: None,
            })
        };
        offsets
            .map(|offset| ServerFrame::Publication {
                publication: publication(offset),
                via: None,
            })
            .collect()
    }

    fn written(
        writer: &mut EventWriter,
        standing: &mut Standing,
        frames: &[ServerFrame<Json>],
    ) -> Option<Bytes> {
        let mut frames = frames.iter().cloned();
        writer.next_chunk(standing, || frames.next())
    }

    #[test]
    fn streams_of_one_topic_that_wait_for_the_same_share_its_bytes() {
        for count in [1, 3] {
            let mut writer = EventWriter::default();
            let frames = frames(1..1 + count);
            let mut both = [standing(&["a"]), standing(&["a"])];
            let [one, other] = both
                .each_mut()
                .map(|standing| written(&mut writer, standing, &frames).expect("a chunk"));
            assert!(std::ptr::eq(one.deref(), other.deref()), "{count}");
            assert_eq!(both[0].id.positions()[0].position.offset, count);
        }
    }

    #[test]
    fn a_shared_chunk_is_what_a_stream_would_be_told_alone() {
        let frames = frames(1..4);
        let mut writer = EventWriter::default();
        let shared = written(&mut writer, &mut standing(&["a"]), &frames).expect("a chunk");
        let own = chunk(Vec::new(), |out| {
            let (mut standing, mut encoder) = (standing(&["a"]), Encoder::default());
            frames
                .iter()
                .for_each(|frame| standing.write_event(out, frame, &mut encoder));
        });
        assert_eq!(Some(shared), own);
    }

    #[test]
    fn a_stream_of_several_topics_has_an_id_of_its_own() {
        let frames = frames(1..2);
        let mut writer = EventWriter::default();
        let mut several = standing(&["a", "b"]);
        let chunk = written(&mut writer, &mut several, &frames).expect("a chunk");
        let text = String::from_utf8(chunk.to_vec()).expect("text");
        assert!(text.contains("\r\nid: a=7:1\ndata: {"), "{text}");
    }

    #[test]
    fn what_comes_by_a_room_has_a_name_and_leaves_the_id_as_it_was() {
        let mut writer = EventWriter::default();
        let mut of_user = standing(&["a"]);
        of_user.room = Some(Topic::new("user:7").expect("valid"));
        let frames = [frames(1..2), frames_of("user:7", 5..6), frames(2..3)].concat();
        let chunk = written(&mut writer, &mut of_user, &frames).expect("a chunk");
        let text = String::from_utf8(chunk.to_vec()).expect("text");
        let ids: Vec<&str> = text.lines().filter(|it| it.starts_with("id: ")).collect();
        assert_eq!(ids, ["id: 7:1", "id: 7:2"]);
        let room = "\n\nevent: user\ndata: {\"type\":\"pub\",\"topic\":\"user:7\",";
        assert!(text.contains(room), "{text}");
        assert_eq!(of_user.id.positions()[0].position.offset, 2);
    }

    #[test]
    fn frames_that_tell_nothing_make_no_chunk() {
        let subscribed = ServerFrame::Subscribed {
            pattern: Pattern::new("a").expect("valid"),
            position: None,
            recovered: false,
            flow: tidegate_core::flow::Flow::IMMEDIATE,
        };
        let mut writer = EventWriter::default();
        let nothing = vec![subscribed; FRAMES_PER_CHUNK];
        assert_eq!(written(&mut writer, &mut standing(&["a"]), &nothing), None);
        let more = [nothing, frames(1..2)].concat();
        assert!(written(&mut writer, &mut standing(&["a"]), &more).is_some());
    }
}
