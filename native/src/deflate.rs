//! Compresses messages one by one, as permessage-deflate does without context takeover (RFC 7692).
//!
//! No message depends on an earlier one. So a message that was compressed once can be sent on every connection, and a connection needs no
//! memory for a context.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The compression level. Higher levels make JSON a few percent smaller, at twice the time.
const LEVEL: Compression = Compression::new(3);

/// The end of the compressed data of every message, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// By how much the buffer of an inflated message grows at least.
const STEP_BYTES: usize = 16 * 1024;

/// A compressor. It allocates its memory on first use.
#[derive(Default)]
pub(crate) struct Deflater(Option<Compress>);

impl Deflater {
    /// Appends the compressed form of `text` to `out`, and returns whether it is shorter than `text`. If not, what was appended is of no
    /// use.
    pub(crate) fn deflate(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.reserve(text.len() + TAIL.len());
        let state = self.0.get_or_insert_with(|| Compress::new(LEVEL, false));
        state.reset();
        let status = state.compress_vec(text, out, FlushCompress::Sync);
        let is_whole = state.total_in() == text.len() as u64 && out.len() < out.capacity();
        if !matches!(status, Ok(Status::Ok)) || !is_whole || !out.ends_with(&TAIL) {
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        out.len() - start < text.len()
    }
}

/// A decompressor. It allocates its memory on first use.
#[derive(Default)]
pub(crate) struct Inflater(Option<Decompress>);

/// Why a message could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It is not valid according to RFC 1951.
    Malformed,
    /// It has more bytes than allowed.
    TooLarge,
}

impl Inflater {
    /// Decompresses `data` to at most `bytes_max` bytes.
    pub(crate) fn inflate(
        &mut self,
        mut data: Vec<u8>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, InflateError> {
        data.extend_from_slice(&TAIL);
        let state = self.0.get_or_insert_with(|| Decompress::new(false));
        state.reset(false);
        let mut text = Vec::new();
        loop {
            let used = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
            let (room, before) = ((bytes_max + 1).saturating_sub(text.len()), text.len());
            text.reserve_exact(room.min(STEP_BYTES.max(text.len())));
            let flush = FlushDecompress::Sync;
            let status = state.decompress_vec(&data[used..], &mut text, flush);
            if text.len() > bytes_max {
                return Err(InflateError::TooLarge);
            }
            match status {
                Err(_) => return Err(InflateError::Malformed),
                // The sender may mark a block as the final one of the stream.
                Ok(Status::StreamEnd) => return Ok(text),
                Ok(Status::Ok | Status::BufError) => {}
            }
            let is_all_used = state.total_in() == data.len() as u64;
            if is_all_used && text.len() < text.capacity() {
                return Ok(text);
            }
            if text.len() == before && text.len() < text.capacity() {
                return Err(InflateError::Malformed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_core::random::Random;

    use super::*;

    fn deflated(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        Deflater::default().deflate(text, &mut out).then_some(out)
    }

    fn inflated(data: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
        Inflater::default().inflate(data.to_vec(), bytes_max)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_compressed_comes_back(words in prop::collection::vec("[a-f]{1,6}", 0..300)) {
            let text = words.join(" ");
            if let Some(data) = deflated(text.as_bytes()) {
                prop_assert!(data.len() < text.len());
                prop_assert_eq!(inflated(&data, text.len()), Ok(text.clone().into_bytes()));
                if !text.is_empty() {
                    prop_assert_eq!(inflated(&data, text.len() - 1), Err(InflateError::TooLarge));
                }
            }
        }

        #[test]
        fn anything_else_is_refused_or_within_the_limit(data in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(text) = inflated(&data, 1_000) {
                prop_assert!(text.len() <= 1_000);
            }
        }
    }

    #[test]
    fn one_compressor_serves_messages_that_know_nothing_of_each_other() {
        let mut deflater = Deflater::default();
        let text = br#"{"type":"pub","topic":"job:42","data":{"done":1,"total":100,"unit":"files","done_too":1}}"#;
        let mut once = |text: &[u8]| {
            let mut out = Vec::new();
            assert!(deflater.deflate(text, &mut out));
            out
        };
        let first = once(text);
        assert_eq!(once(text), first);
        assert_eq!(inflated(&first, 1_000), Ok(text.to_vec()));
    }

    #[test]
    fn what_does_not_get_shorter_stays_as_it_is() {
        assert_eq!(deflated(b""), None);
        assert_eq!(deflated(b"{}"), None);
        let mut random = Random::new(1);
        let noise: Vec<u8> = (0..125)
            .flat_map(|_| random.next_u64().to_le_bytes())
            .collect();
        assert_eq!(deflated(&noise), None);
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let zeros = vec![b'0'; 4 * 1024 * 1024];
        let bomb = deflated(&zeros).expect("much shorter");
        assert!(bomb.len() < 30_000);
        assert_eq!(inflated(&bomb, 64 * 1024), Err(InflateError::TooLarge));
    }

    #[test]
    fn several_blocks_and_an_ended_stream_are_read() {
        // RFC 7692, 7.2.3: "Hello" in two blocks, without compression, and in a block that ends the stream.
        let hello = Ok(b"Hello".to_vec());
        assert_eq!(
            inflated(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 5),
            hello
        );
        assert_eq!(
            inflated(
                &[
                    0xf2, 0x48, 0x05, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00
                ],
                5
            ),
            hello
        );
        assert_eq!(
            inflated(&[0, 5, 0, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0], 5),
            hello
        );
        assert_eq!(
            inflated(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], 5),
            hello
        );
    }
}
