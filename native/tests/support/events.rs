//! A client of Server-Sent Events that shows exactly what is sent.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{http, within};

/// An event, or a comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    /// `message` if the stream names none.
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A response that is being read.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
    pub(crate) head: String,
    text: String,
}

impl Events {
    /// Requests `/events?{query}`.
    pub(crate) async fn open(address: &str, query: &str) -> Self {
        Self::resume(address, query, None).await
    }

    /// Requests `/events?{query}` like an `EventSource` that reconnects.
    pub(crate) async fn resume(address: &str, query: &str, last_event_id: Option<&str>) -> Self {
        Self::open_at(address, &format!("/events?{query}"), last_event_id).await
    }

    pub(crate) async fn open_at(address: &str, path: &str, last_event_id: Option<&str>) -> Self {
        let last = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{last}\r\n"
        );
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            within("the head of an answer", stream.read_line(&mut head))
                .await
                .unwrap();
        }
        Self {
            stream,
            head,
            text: String::new(),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        http::status(&self.head)
    }

    /// The next block of lines; `None` at the orderly end of the response.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let chunk = within("an event", self.chunk()).await;
            if chunk.is_empty() {
                assert_eq!(self.text, "", "the response ends within an event");
                return None;
            }
            self.text.push_str(&chunk);
        }
    }

    /// Reads a chunk of the body; the last one is empty.
    async fn chunk(&mut self) -> String {
        let mut size = String::new();
        self.stream.read_line(&mut size).await.unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).expect("the size of a chunk");
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).await.unwrap();
        chunk.truncate(size);
        String::from_utf8(chunk).unwrap()
    }

    /// The next event; skips comments and the like.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = parse(&self.block().await?) {
                return Some(event);
            }
        }
    }

    /// The next event's data, which is a publication's.
    pub(crate) async fn data(&mut self) -> Value {
        let event = self.next().await.expect("another event");
        assert_eq!(event.name, "message", "{event:?}");
        event.data["data"].clone()
    }

    /// All events up to the end of the response.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event {
        name: "message".to_owned(),
        ..Event::default()
    };
    let mut has_data = false;
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("id", id)) => event.id = Some(id.to_owned()),
            Some(("data", data)) => {
                assert!(!has_data, "an event has one line of data: {block:?}");
                event.data = serde_json::from_str(data).unwrap();
                has_data = true;
            }
            Some(_) | None => {}
        }
    }
    has_data.then_some(event)
}
