//! An identity provider whose keys a test can change, and which counts how often they are fetched.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{Response, Uri};
use axum::response::IntoResponse as _;
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::serve;

/// A key pair of RFC 8032, 7.1: Ed25519.
pub(crate) struct KeyPair {
    /// Its name in the set.
    pub(crate) id: &'static str,
    seed: [u8; 32],
    public: &'static str,
}

pub(crate) const FIRST: KeyPair = KeyPair {
    id: "first",
    seed: [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ],
    public: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};

pub(crate) const SECOND: KeyPair = KeyPair {
    id: "second",
    seed: [
        0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e,
        0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8,
        0xa6, 0xfb,
    ],
    public: "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
};

impl KeyPair {
    /// A token with more claims, signed with it, that names the key `id`.
    fn sign_as(&self, id: &str, more: &Value) -> String {
        // RFC 8410: the seed as PKCS #8.
        let frame = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        let key = EncodingKey::from_ed_der(&[frame.as_slice(), &self.seed].concat());
        let header = Header {
            kid: Some(id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        let mut claims = json!({
            "sub": "ada", "exp": 4_000_000_000_u64, "subscribe": ["job:*"], "publish": ["job:*"],
        });
        let more = more.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        encode(&header, &claims, &key).unwrap()
    }

    /// A token signed with it.
    pub(crate) fn token(&self) -> String {
        self.sign_as(self.id, &json!({}))
    }

    /// The same, which says who issued it.
    pub(crate) fn token_from(&self, issuer: &str) -> String {
        self.sign_as(self.id, &json!({ "iss": issuer }))
    }

    /// A token that names a key that doesn't exist.
    pub(crate) fn token_of_nobody(&self, number: usize) -> String {
        self.sign_as(&format!("made-up-{number}"), &json!({}))
    }

    fn public(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": self.public })
    }
}

/// What a provider answers.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) body: String,
}

impl Reply {
    /// A set of public keys.
    pub(crate) fn keys(pairs: &[&KeyPair]) -> Self {
        let keys: Vec<_> = pairs.iter().map(|pair| pair.public()).collect();
        Self::ok(json!({ "keys": keys }).to_string())
    }

    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            header: None,
            body: body.into(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("not now")
        }
    }

    /// A redirection.
    pub(crate) fn redirection(to: &'static str) -> Self {
        Self {
            header: Some(("location", to)),
            ..Self::status(302)
        }
    }
}

pub(crate) struct Provider {
    reply: Mutex<Reply>,
    fetches: AtomicUsize,
    /// Its configuration document.
    document: Mutex<Value>,
}

impl Provider {
    pub(crate) fn new(reply: Reply) -> Arc<Self> {
        Arc::new(Self {
            reply: Mutex::new(reply),
            fetches: AtomicUsize::new(0),
            document: Mutex::default(),
        })
    }

    /// Answers with this from now on.
    pub(crate) fn replies(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// How often it was asked.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Sets its issuer name, and where its keys are.
    pub(crate) fn is_called(&self, issuer: &str, keys: &str) {
        *self.document.lock().unwrap() = json!({ "issuer": issuer, "jwks_uri": keys });
    }

    /// Its keys, at `/keys?app=7` and nowhere else, and its document, at `/tenant`.
    pub(crate) fn app(self: &Arc<Self>) -> Router {
        let provider = Arc::clone(self);
        let answer = async move |uri: Uri| {
            provider.fetches.fetch_add(1, Ordering::SeqCst);
            let mut reply = provider.reply.lock().unwrap().clone();
            if uri.query() != Some("app=7") {
                reply = Reply::status(404);
            }
            let mut answer = Response::builder().status(reply.status);
            if let Some((name, value)) = reply.header {
                answer = answer.header(name, value);
            }
            answer.body(reply.body).unwrap().into_response()
        };
        let provider = Arc::clone(self);
        let document = async move || provider.document.lock().unwrap().to_string();
        Router::new()
            .route("/keys", get(answer))
            .route("/tenant/.well-known/openid-configuration", get(document))
    }

    /// Serves it without TLS until the test ends. Returns the URL of its keys.
    pub(crate) async fn serve(self: &Arc<Self>) -> String {
        format!("http://{}/keys?app=7", serve(self.app()).await)
    }
}
