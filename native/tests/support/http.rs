//! Requests over a plain socket, and their answers.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::within;

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status and the code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        let body = self.json();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{self:?}");
        let code = body["error"]["code"].as_str().unwrap();
        (self.status, code.to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header in the head of an answer.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Sends a request with some header lines, each ended by `\r\n`, and reads the answer to its end.
pub(crate) async fn request(
    address: &str,
    line: &str,
    headers: &str,
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    within("an answer", async {
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server need not read what it refuses.
        let _ = stream.write_all(body).await;
        stream.read_to_end(&mut answer).await.unwrap();
    })
    .await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: status(head),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(address: &str, path: &str) -> Answer {
    request(address, &format!("GET {path}"), "", "").await
}

/// Publishes over HTTP.
pub(crate) async fn publish(address: &str, body: &Value) -> Answer {
    request(address, "POST /publish", "", body.to_string()).await
}

pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}
