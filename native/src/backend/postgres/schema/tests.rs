use sha2::{Digest, Sha256};

use super::{FUNCTIONS, VERSION};

/// The digest of what the functions of this version do.
const DIGEST: (u32, &str) = (4, "766ea29f0ed281b4");

/// A function without comments and line breaks, which change nothing.
fn essence(sql: &str) -> String {
    let code = sql
        .lines()
        .map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let words = code.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn functions_that_do_something_else_have_another_version() {
    let mut digest = Sha256::new();
    for (name, sql) in FUNCTIONS {
        digest.update(format!("{name}: {};", essence(sql)));
    }
    let digest = digest.finalize();
    let found: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (VERSION, found.as_str()),
        DIGEST,
        "databases keep the functions that they have: raise VERSION, and note the new digest here"
    );
}
