//! Runs every target on the inputs of its corpus, and on damaged copies of them.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_core::random::Random;
use tidegate_fuzz::{TARGETS, Target, target};

/// The number of damaged copies for each target.
const COPIES: u64 = 3_000;

const BYTES_MAX: u64 = 600;

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds nothing", folder.display());
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

/// Changes, repeats, removes and inserts bytes, also from another input.
fn damaged(kept: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut any = |below: u64| usize::try_from(random.up_to(below.max(1) - 1)).unwrap();
    let mut bytes = kept[any(kept.len() as u64)].1.clone();
    for _ in 0..=any(8) {
        let at = any(bytes.len() as u64 + 1);
        match any(5) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(any(256)).unwrap(),
            1 if at < bytes.len() => bytes[at] ^= 1 << any(8),
            2 => bytes.truncate(at),
            3 => {
                let fresh: Vec<u8> = (0..any(40))
                    .map(|_| u8::try_from(any(256)).unwrap())
                    .collect();
                bytes.splice(at..at, fresh);
            }
            _ => {
                let other = &kept[any(kept.len() as u64)].1;
                let from = any(other.len() as u64 + 1);
                bytes.splice(at..at, other[from..].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX as usize);
    }
    bytes
}

fn hold(name: &str) {
    let target = target(name).expect("a target of this name");
    let kept = corpus(target);
    for (path, bytes) in &kept {
        eprintln!("{}", path.display());
        (target.run)(bytes);
    }
    let mut random = Random::new(1);
    for copy in 0..COPIES {
        let bytes = damaged(&kept, &mut random);
        // Shown if the test fails, to be added to the corpus as a file.
        eprintln!("copy {copy}: {}", bytes.escape_ascii());
        (target.run)(&bytes);
    }
}

macro_rules! hold_all {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { hold($name); })*

        #[test]
        fn every_target_is_tried() {
            assert_eq!(TARGETS.map(|target| target.name), [$($name),*]);
        }
    };
}

hold_all! {
    a_server_survives_its_clients: "server",
    a_client_survives_its_server: "client",
    a_server_survives_other_servers: "servers",
    any_text_is_a_topic_or_is_refused: "topics",
    any_message_is_frames_or_errors: "messages",
    any_query_for_events_is_understood_or_refused: "events-query",
    any_bytes_of_a_websocket_are_messages_or_a_violation: "websocket",
    any_compressed_bytes_stay_bounded: "deflate",
    any_entry_of_a_stream_is_a_publication_or_none: "stream-entries",
    no_token_is_guessed: "token",
    any_payloads_can_be_merged: "merge",
}
