//! Texts as tokens.

use tidegate::auth::JwtVerifier;

/// Every text is refused as a token: no fuzzer guesses a signature.
pub fn run(bytes: &[u8]) {
    let verifier = JwtVerifier::hs256(&[7; 32]).expect("a secret that is long enough");
    let shown = String::from_utf8_lossy(bytes);
    assert!(verifier.verify(&shown).is_err(), "{shown:?}");
}
