//! One driver for all of them: each is a process that prints what it is sent.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::within;

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Python's `websockets`, in a client of some fifty lines that resumes by itself.
    Websockets,
    /// Python's `httpx-sse`, in a client that resumes by itself.
    HttpxSse,
    /// Python's `sseclient-py`, in a client that resumes by itself.
    Sseclient,
    /// `curl -N`, as it is.
    Curl,
    /// `websocat`, as it is.
    Websocat,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Websockets,
        Self::HttpxSse,
        Self::Sseclient,
        Self::Curl,
        Self::Websocat,
    ];
}

/// A client that follows a topic.
pub(crate) struct Client {
    kind: Kind,
    address: String,
    topic: String,
    more: Vec<String>,
    process: Process,
    /// Frames that came in one message with the last.
    waiting: Vec<Value>,
    /// The position of the last publication, which users of `curl` and `websocat` have to remember themselves.
    last: Option<Value>,
}

struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Client {
    pub(crate) async fn start(kind: Kind, address: &str, topic: &str) -> Self {
        Self::start_with(kind, address, topic, &[]).await
    }

    /// Starts a client with more arguments: headers, or options for `websockets`.
    pub(crate) async fn start_with(kind: Kind, address: &str, topic: &str, more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|&text| text.to_owned()).collect();
        let mut client = Self {
            process: Process::start(command(kind, address, topic, &more)),
            kind,
            address: address.to_owned(),
            topic: topic.to_owned(),
            more,
            waiting: Vec::new(),
            last: None,
        };
        client.subscribe().await;
        client
    }

    /// Subscribes, if the process leaves that to us.
    async fn subscribe(&mut self) {
        if self.kind == Kind::Websocat {
            let mut frame = json!({"type": "subscribe", "pattern": self.topic});
            if let Some(last) = &self.last {
                frame["since"] = json!([last]);
            }
            self.send(&frame.to_string()).await;
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Restarts clients that don't reconnect by themselves, from where they were.
    pub(crate) async fn connect_again(&mut self) {
        if !matches!(self.kind, Kind::Curl | Kind::Websocat) {
            return;
        }
        let gone = within("the end of the connection", self.process.child.wait());
        gone.await.unwrap();
        let last = self.last.clone().expect("something came before");
        let mut more = self.more.clone();
        if self.kind == Kind::Curl {
            more.push(format!(
                "Last-Event-ID: {}:{}",
                last["epoch"], last["offset"]
            ));
        }
        self.process = Process::start(command(self.kind, &self.address, &self.topic, &more));
        self.subscribe().await;
    }

    /// The next frame, except those that only keep the connection alive.
    pub(crate) async fn frame(&mut self) -> Value {
        loop {
            if !self.waiting.is_empty() {
                let frame = self.waiting.remove(0);
                match frame["type"].as_str() {
                    Some("welcome" | "ping") => continue,
                    Some("pub") => {
                        self.last = Some(json!({
                            "topic": frame["topic"], "epoch": frame["epoch"], "offset": frame["offset"],
                        }));
                    }
                    _ => {}
                }
                return frame;
            }
            let line = self.process.line(self.kind).await;
            self.waiting = self.read(&line);
        }
    }

    /// The frames that a line of output stands for.
    fn read(&self, line: &str) -> Vec<Value> {
        let parse = |text: &str| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        match self.kind {
            Kind::Websockets => vec![parse(line)],
            Kind::Websocat => match parse(line) {
                Value::Array(frames) => frames,
                frame => vec![frame],
            },
            Kind::HttpxSse | Kind::Sseclient => vec![parse(line)["data"].clone()],
            // A refusal is not an event.
            Kind::Curl if line.starts_with('{') => vec![parse(line)],
            Kind::Curl => line.strip_prefix("data: ").map(parse).into_iter().collect(),
        }
    }

    /// The next frame, except the answer to the subscription. It must have this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind {
                return frame;
            }
            assert_eq!(
                frame["type"], "subscribed",
                "{:?}, not {kind}: {frame}",
                self.kind
            );
        }
    }

    /// The data of the next publication.
    pub(crate) async fn publication(&mut self) -> Value {
        self.expect("pub").await["data"].take()
    }

    /// The body of the answer that refuses an event stream.
    pub(crate) async fn refusal(&mut self) -> Value {
        let frame = self.frame().await;
        assert!(frame.get("error").is_some(), "{:?}: {frame}", self.kind);
        frame
    }

    /// Sends a line as a message.
    pub(crate) async fn send(&mut self, line: &str) {
        let stdin = self.process.stdin.as_mut().expect("it takes lines");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    /// The status that it ends with.
    pub(crate) async fn status(&mut self) -> i32 {
        // `websocat` has no notion of ends of topics: it ends with its input.
        self.process.stdin = None;
        let status = within("the client to end", self.process.child.wait());
        status.await.unwrap().code().expect("it exits by itself")
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{command:?}: {error}; `cargo xtask test --only servers` brings it")
            });
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// The next line of output.
    async fn line(&mut self, kind: Kind) -> String {
        let line = within("a client to print something", self.stdout.next_line());
        let line = line.await.unwrap();
        line.unwrap_or_else(|| panic!("{kind:?} has ended"))
    }
}

fn command(kind: Kind, address: &str, topic: &str, more: &[String]) -> Command {
    let socket = format!("ws://{address}/ws");
    let events = format!("http://{address}/events?topic={topic}");
    match kind {
        Kind::Websockets => {
            let mut command = script("websocket_client.py", &[&socket, topic], more);
            // How long it waits before it connects again, in seconds.
            for name in ["INITIAL", "MIN", "MAX"] {
                command.env(format!("WEBSOCKETS_BACKOFF_{name}_DELAY"), "0.1");
            }
            command
        }
        Kind::HttpxSse => script("httpx_sse_client.py", &[&events], more),
        Kind::Sseclient => script("sseclient_client.py", &[&events], more),
        Kind::Curl => {
            let mut command = Command::new("curl");
            command.args(["-sS", "-N", &events]);
            for header in more {
                command.args(["-H", header]);
            }
            command
        }
        Kind::Websocat => {
            let mut command = Command::new(installed("websocat"));
            // Ends when the server does.
            command.args(["--exit-on-eof", "--buffer-size", "2097152", &socket]);
            for header in more {
                command.args(["-H", header]);
            }
            command
        }
    }
}

fn script(name: &str, arguments: &[&str], more: &[String]) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
    let mut command = Command::new(installed("python"));
    command.arg(path.join(name)).args(arguments).args(more);
    command
}

/// A program from the environment that `cargo xtask test` creates.
fn installed(name: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let target = target.parent().expect("it is within the target directory");
    target.join("outside-clients/bin").join(name)
}
