//! Numbered payloads, and a scanner that finds them in the output of any server.
//!
//! Each payload contains a mark, a text that every protocol passes through unchanged. A subscriber only looks for
//! marks, so that one generator serves all servers, and counts publications however they are framed or batched.

use memchr::memmem;

const MARK: &[u8] = b"tide-";

/// Digits of the number behind a mark.
const DIGITS: usize = 10;

/// One byte less than a mark with its number.
const TAIL_BYTES: usize = MARK.len() + DIGITS - 1;

/// A JSON object of `bytes` (at least 64) with a number in it.
pub(crate) fn payload(number: u64, bytes: usize) -> String {
    let mut text = format!(r#"{{"at":"tide-{number:0DIGITS$}","progress":0.5,"note":""#);
    let filler = bytes.saturating_sub(text.len() + 2);
    text.extend(std::iter::repeat_n('.', filler));
    text.push_str(r#""}"#);
    text
}

/// Finds marks in a stream of bytes that arrives in pieces.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scanner {
    tail: [u8; TAIL_BYTES],
    tail_bytes: u8,
}

impl Scanner {
    /// Calls `found` with the number of each mark that `bytes` completes.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(u64)) {
        let tail_bytes = usize::from(self.tail_bytes);
        if bytes.len() >= TAIL_BYTES && tail_bytes == 0 {
            find(bytes, |_, number| found(number));
            return self.keep(bytes);
        }
        let mut joined = [0; 2 * TAIL_BYTES];
        let taken = bytes.len().min(TAIL_BYTES);
        joined[..tail_bytes].copy_from_slice(&self.tail[..tail_bytes]);
        joined[tail_bytes..tail_bytes + taken].copy_from_slice(&bytes[..taken]);
        let joined = &joined[..tail_bytes + taken];
        find(joined, |at, number| {
            if at < tail_bytes {
                found(number);
            }
        });
        find(bytes, |_, number| found(number));
        if bytes.len() >= TAIL_BYTES {
            self.keep(bytes);
        } else {
            self.keep(joined);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let tail = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        self.tail[..tail.len()].copy_from_slice(tail);
        self.tail_bytes = u8::try_from(tail.len()).expect("a tail is short");
    }
}

fn find(bytes: &[u8], mut found: impl FnMut(usize, u64)) {
    for at in memmem::find_iter(bytes, MARK) {
        let digits = at + MARK.len();
        if let Some(digits) = bytes.get(digits..digits + DIGITS) {
            let number = digits
                .iter()
                .fold(0, |number, digit| number * 10 + u64::from(digit & 0xf));
            found(at, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_however_the_stream_is_cut() {
        let text: String = (0..40).map(|number| payload(number * 7, 70)).collect();
        for piece in [1, 2, 5, 13, 14, 15, 16, 69, 70, 71, 5_000] {
            let mut scanner = Scanner::default();
            let mut numbers = Vec::new();
            for bytes in text.as_bytes().chunks(piece) {
                scanner.feed(bytes, |number| numbers.push(number));
            }
            let expected: Vec<u64> = (0..40).map(|number| number * 7).collect();
            assert_eq!(numbers, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_payload_has_the_size_asked_for() {
        assert_eq!(payload(3, 128).len(), 128);
    }
}
