//! Reads and hashes files, no faster than allowed.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// How much is read at a time: a fraction of a second's worth at any reasonable pace.
const BLOCK_BYTES: usize = 64 * 1024;

/// Limits reading to a number of bytes per second, so that other programs can use the disk, too.
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    started: Instant,
    bytes: u64,
}

impl Pace {
    /// A pace. `None`: as fast as possible.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second,
            started: Instant::now(),
            bytes: 0,
        }
    }

    /// Counts what was read, and waits until that much is allowed.
    #[expect(
        clippy::disallowed_methods,
        reason = "time itself is what it waits for"
    )]
    fn spend(&mut self, bytes: u64) {
        self.bytes += bytes;
        if let Some(bytes_per_second) = self.bytes_per_second {
            let due = Duration::from_secs_f64(self.bytes as f64 / bytes_per_second.max(1) as f64);
            thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
    }
}

/// The SHA-256 of a file. `on_read` is called with the size of each block, in bytes. If it returns `false`, reading
/// ends with `Ok(None)`.
pub(crate) fn hash_file(
    path: &Path,
    pace: &mut Pace,
    mut on_read: impl FnMut(u64) -> bool,
) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut hasher = Sha256::new();
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(Some(hex(&hasher.finalize())));
        }
        hasher.update(&block[..read]);
        pace.spend(read as u64);
        if !on_read(read as u64) {
            return Ok(None);
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
