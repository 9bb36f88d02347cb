//! Tokens against the examples of the RFCs and against what forgers try.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn verifier() -> JwtVerifier {
    JwtVerifier::hs256(SECRET).unwrap()
}

fn soon() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs() + 60
}

fn signed(claims: &Value) -> String {
    signed_by(SECRET, &Header::new(Algorithm::HS256), claims)
}

fn signed_by(secret: &[u8], header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn refused(token: &str) -> String {
    verifier().verify(token).unwrap_err().to_string()
}

fn jwks(keys: &Value) -> Result<JwtVerifier, JwtError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "keys": keys }).to_string()).unwrap();
    JwtVerifier::jwks_file(file.path())
}

#[test]
fn the_claims_say_who_and_what() {
    let exp = soon();
    let token = signed(&json!({
        "sub": "ada", "exp": exp, "subscribe": ["job:*", "user:7"], "publish": ["chat:1"], "name": "Ada",
    }));
    let identity = verifier().verify(&token).unwrap();
    assert_eq!(identity.user.as_deref(), Some("ada"));
    let texts = |patterns: &[tidegate_core::topic::Pattern]| -> Vec<String> {
        patterns.iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts(&identity.subscribe), ["job:*", "user:7"]);
    assert_eq!(texts(&identity.publish), ["chat:1"]);
    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(exp);
    assert_eq!(identity.expires, Some(ends));
}

#[test]
fn a_number_may_name_the_user_and_what_is_not_granted_is_not() {
    let identity = verifier()
        .verify(&signed(&json!({ "sub": 7, "exp": soon() })))
        .unwrap();
    assert_eq!(identity.user.as_deref(), Some("7"));
    assert!(identity.subscribe.is_empty() && identity.publish.is_empty());
}

#[test]
fn forged_and_spoilt_tokens_are_refused() {
    let claims = json!({ "sub": "ada", "exp": soon(), "subscribe": ["**"] });
    let good = signed(&claims);
    assert!(verifier().verify(&good).is_ok());
    let other = signed_by(
        b"another secret, just as long as it",
        &Header::default(),
        &claims,
    );
    let parts: Vec<&str> = good.split('.').collect();
    let altered = {
        let mallory = signed(&json!({ "sub": "mallory", "exp": soon() }));
        let payload = mallory.split('.').nth(1).unwrap().to_owned();
        [parts[0], &payload, parts[2]].join(".")
    };
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let unsigned_but_named = format!("{}.{}.", parts[0], parts[1]);
    for token in [
        "",
        ".",
        "..",
        "a.b.c",
        &other,
        &altered,
        &unsigned,
        &unsigned_but_named,
        &good[1..],
    ] {
        let error = verifier().verify(token).unwrap_err();
        assert!(matches!(error, AuthError::Invalid(_)), "{token}: {error}");
    }
    let longer = signed_by(SECRET, &Header::new(Algorithm::HS512), &claims);
    assert!(
        verifier().verify(&longer).is_err(),
        "only HS256 was agreed on"
    );
    let header = Header {
        crit: Some(vec!["x".into()]),
        ..Header::default()
    };
    let demanding = refused(&signed_by(SECRET, &header, &claims));
    assert!(demanding.contains("`crit`"), "{demanding}");
}

#[test]
fn a_token_is_good_within_its_time_only() {
    let expired = signed(&json!({ "exp": soon() - 120 }));
    assert_eq!(verifier().verify(&expired), Err(AuthError::Expired));
    assert!(refused(&signed(&json!({ "sub": "ada" }))).contains("`exp` is missing"));
    let later = json!({ "exp": soon() + 600, "nbf": soon() + 300 });
    assert!(refused(&signed(&later)).contains("not valid yet"));
    // Some issuers use fractions of seconds, and attackers use values that are not times.
    let fraction = signed(&json!({ "exp": 4_000_000_000.5 }));
    assert!(verifier().verify(&fraction).is_ok());
    for exp in [json!(-1), json!("soon"), json!(null), json!([])] {
        assert!(
            verifier().verify(&signed(&json!({ "exp": exp }))).is_err(),
            "{exp}"
        );
    }
    for exp in [json!(1e19), json!(u64::MAX)] {
        // Either so late that it is never reached, or not a time. In neither case, this may panic.
        let _ = verifier().verify(&signed(&json!({ "exp": exp })));
    }
}

#[test]
fn a_token_for_or_from_somebody_else_is_refused() {
    let token = |claims: Value| {
        let mut all = json!({ "exp": soon() });
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        signed(&all)
    };
    let strict = verifier().for_audience("dash").from_issuer("shop");
    assert!(
        strict
            .verify(&token(json!({ "aud": "dash", "iss": "shop" })))
            .is_ok()
    );
    assert!(
        strict
            .verify(&token(json!({ "aud": ["x", "dash"], "iss": "shop" })))
            .is_ok()
    );
    for claims in [
        json!({ "aud": "dash" }),
        json!({ "iss": "shop" }),
        json!({ "aud": "mail", "iss": "shop" }),
        json!({ "aud": "dash", "iss": "mallory" }),
    ] {
        assert!(strict.verify(&token(claims.clone())).is_err(), "{claims}");
    }
    assert!(verifier().verify(&token(json!({ "aud": "mail" }))).is_err());
}

#[test]
fn grants_that_are_no_patterns_are_named() {
    let claims = json!({ "exp": soon(), "subscribe": ["job:*", "job::1"] });
    let error = refused(&signed(&claims));
    assert!(
        error.contains("`subscribe`") && error.contains("job::1"),
        "{error}"
    );
    let many: Vec<String> = (0..=super::super::claims::PATTERNS_MAX)
        .map(|number| format!("job:{number}"))
        .collect();
    let claims = json!({ "exp": soon(), "publish": many });
    assert!(refused(&signed(&claims)).contains("may have 1000"));
    for sub in ["", "a\nb"] {
        assert!(
            verifier()
                .verify(&signed(&json!({ "exp": soon(), "sub": sub })))
                .is_err()
        );
    }
}

/// RFC 7515, appendix A.2. It was signed in 2011, so the error is that it has expired.
#[test]
fn rs256_is_checked_by_the_key_of_the_rfcs_example() {
    let key = json!({
        "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    });
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    only_expired(&key, token);
}

/// RFC 7515, appendix A.3.
#[test]
fn es256_is_checked_by_the_key_of_the_rfcs_example() {
    let key = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    only_expired(&key, token);
}

fn only_expired(key: &Value, token: &str) {
    let verifier = jwks(&json!([key])).unwrap();
    assert_eq!(verifier.verify(token), Err(AuthError::Expired));
    let mut spoilt = token.to_owned();
    let at = token.rfind('.').unwrap() + 10;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    spoilt.replace_range(at..=at, other);
    let error = verifier.verify(&spoilt).unwrap_err().to_string();
    assert!(error.contains("matches none of"), "{error}");
}

/// RFC 8037, appendix A: a seed and its public key.
const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn ed25519() -> EncodingKey {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ];
    // RFC 8410: the seed as PKCS#8.
    let frame = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    EncodingKey::from_ed_der(&[frame.as_slice(), &seed].concat())
}

/// Another key of the same kind, with which nothing is signed.
const OTHER_ED25519: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn ed25519_key(x: &str) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
}

#[test]
fn eddsa_is_checked_and_the_key_is_found_by_its_name() {
    let public = ED25519;
    let signing = ed25519();
    let named = |name: &str| Header {
        kid: Some(name.into()),
        ..Header::new(Algorithm::EdDSA)
    };
    let claims = json!({ "sub": "ada", "exp": soon() });
    let keys = json!([
        { "kty": "OKP", "crv": "Ed25519", "kid": "old", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
        { "kty": "OKP", "crv": "Ed25519", "kid": "new", "x": public },
    ]);
    let verifier = jwks(&keys).unwrap();
    let token = encode(&named("new"), &claims, &signing).unwrap();
    assert_eq!(
        verifier.verify(&token).unwrap().user.as_deref(),
        Some("ada")
    );
    let token = encode(&named("old"), &claims, &signing).unwrap();
    assert!(verifier.verify(&token).is_err());
    let token = encode(&Header::new(Algorithm::EdDSA), &claims, &signing).unwrap();
    assert!(
        verifier.verify(&token).is_ok(),
        "without a name, each is tried"
    );
    // The oldest trick: a public key, used as a shared secret.
    let secret = Header {
        kid: Some("new".into()),
        ..Header::new(Algorithm::HS256)
    };
    let confused = signed_by(public.as_bytes(), &secret, &claims);
    assert!(verifier.verify(&confused).is_err());
}

#[test]
fn keys_that_cannot_be_used_are_named_with_their_file() {
    let error = JwtVerifier::hs256(b"short").unwrap_err().to_string();
    assert!(
        error.contains("5 bytes") && error.contains("openssl"),
        "{error}"
    );
    let error = JwtVerifier::jwks_file("/nowhere/keys.json")
        .unwrap_err()
        .to_string();
    assert!(error.contains("/nowhere/keys.json"), "{error}");
    let secret = json!([{ "kty": "oct", "k": "c2VjcmV0" }]);
    let error = jwks(&secret).unwrap_err().to_string();
    assert!(
        error.contains("key 1") && error.contains("shared secret"),
        "{error}"
    );
    assert!(matches!(jwks(&json!([])), Err(JwtError::NoKeys { .. })));
    assert!(matches!(jwks(&json!(7)), Err(JwtError::NoKeySet { .. })));
}

#[test]
fn nothing_that_is_logged_holds_a_secret() {
    let token = signed(&json!({ "exp": soon() }));
    let shown = Credentials {
        token: Some(token.clone()),
        ..Credentials::default()
    };
    let logged = format!("{shown:?} {:?}", verifier());
    assert!(
        !logged.contains(&token) && !logged.contains("thirty-two"),
        "{logged}"
    );
}

#[test]
fn of_several_keys_the_one_that_has_signed_says_what_is_wrong() {
    let signed =
        |claims: &Value| encode(&Header::new(Algorithm::EdDSA), claims, &ed25519()).unwrap();
    let (own, other) = (ed25519_key(ED25519), ed25519_key(OTHER_ED25519));
    for keys in [json!([own, other]), json!([other, own, other])] {
        let verifier = jwks(&keys).unwrap();
        let expired = signed(&json!({ "exp": soon() - 600 }));
        assert_eq!(verifier.verify(&expired), Err(AuthError::Expired));
        let elsewhere = signed(&json!({ "exp": soon(), "aud": "mail" }));
        let error = verifier.verify(&elsewhere).unwrap_err().to_string();
        assert!(error.contains("another audience"), "{error}");
    }
    let foreign = jwks(&json!([other, other])).unwrap();
    let error = foreign.verify(&signed(&json!({ "exp": soon() - 600 })));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("matches none of"), "{error}");
}

#[test]
fn keys_for_something_else_are_passed_over_and_named_where_there_is_no_other() {
    let token = encode(
        &Header::new(Algorithm::EdDSA),
        &json!({ "sub": "ada", "exp": soon() }),
        &ed25519(),
    )
    .unwrap();
    let own = ed25519_key(ED25519);
    let with = |name: &str, value: Value| {
        let mut key = own.clone();
        key[name] = value;
        key
    };
    let coordinate = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    for (key, why) in [
        (with("use", json!("enc")), "use"),
        (with("key_ops", json!(["encrypt"])), "use"),
        (with("alg", json!("ES256")), "another algorithm"),
        (
            json!({ "kty": "EC", "crv": "P-384", "x": coordinate, "y": coordinate }),
            "P384",
        ),
        (
            json!({ "kty": "EC", "crv": "secp256k1", "x": coordinate, "y": coordinate }),
            "not supported",
        ),
    ] {
        let alone = jwks(&json!([key])).unwrap_err().to_string();
        assert!(alone.contains("key 1") && alone.contains(why), "{alone}");
        let both = jwks(&json!([key, own])).unwrap();
        assert_eq!(both.keys.now().len(), 1, "{key}");
        assert!(both.verify(&token).is_ok(), "{key}");
    }
    for key in [
        with("use", json!("sig")),
        with("key_ops", json!(["verify"])),
        with("alg", json!("EdDSA")),
    ] {
        assert!(jwks(&json!([key])).unwrap().verify(&token).is_ok(), "{key}");
    }
}

#[test]
fn a_set_that_is_read_again_counts_for_all_clones_and_a_wrong_one_changes_nothing() {
    let token = encode(
        &Header::new(Algorithm::EdDSA),
        &json!({ "sub": "ada", "exp": soon() }),
        &ed25519(),
    )
    .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |keys: Value| std::fs::write(file.path(), keys.to_string()).unwrap();
    write(json!({ "keys": [ed25519_key(OTHER_ED25519)] }));
    let first = JwtVerifier::jwks_file(file.path()).unwrap();
    let clone = first.clone().from_issuer("shop");
    assert!(first.verify(&token).is_err());
    assert!(matches!(first.reload(), Ok(false)));
    write(json!({ "keys": [ed25519_key(ED25519)] }));
    assert!(first.verify(&token).is_err(), "nobody said so yet");
    assert!(matches!(clone.reload(), Ok(true)));
    assert!(first.verify(&token).is_ok());
    write(json!({ "keys": [] }));
    assert!(matches!(first.reload(), Err(JwtError::NoKeys { .. })));
    assert!(first.verify(&token).is_ok());
    let secret = JwtVerifier::hs256(SECRET).unwrap();
    assert!(matches!(secret.reload(), Ok(false)));
}
