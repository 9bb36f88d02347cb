//! The floor: a server that only writes what it receives to its subscribers' sockets.
//!
//! One thread frames a publication once, and writes it once to each subscriber. It routes by a map from topics to
//! connections, and has no sessions, no flows and no history: every server that writes once per delivery has at least
//! its costs. Its batching twin combines everything that one read brought into one write per subscriber.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::websocket;

const LISTENER: Token = Token(usize::MAX);

/// How much may wait for a subscriber that does not read before the subscriber is dropped.
const WAITING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Serves until the process is killed.
pub(crate) fn run(listen: SocketAddr, is_batching: bool) -> Result<()> {
    let mut floor = Floor::bind(listen, is_batching)?;
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(index) => {
                    if event.is_readable() {
                        floor.read(index);
                    }
                    if event.is_writable() {
                        floor.write_on(index);
                    }
                }
            }
        }
    }
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    is_batching: bool,
    peers: Vec<Option<Peer>>,
    /// The indices of the subscribers, by topic.
    topics: HashMap<Vec<u8>, Vec<usize>>,
    buffer: Vec<u8>,
}

struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
    is_open: bool,
    /// The bytes that the socket did not accept.
    waiting: VecDeque<u8>,
}

impl Floor {
    fn bind(listen: SocketAddr, is_batching: bool) -> Result<Self> {
        let mut listener =
            TcpListener::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        let poll = Poll::new()?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            is_batching,
            peers: Vec::new(),
            topics: HashMap::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept a connection"),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.peers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, token, interest)?;
            self.peers.push(Some(Peer {
                stream,
                received: Vec::new(),
                is_open: false,
                waiting: VecDeque::new(),
            }));
        }
    }

    fn read(&mut self, index: usize) {
        while let Some(peer) = &mut self.peers[index] {
            match peer.stream.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => self.peers[index] = None,
                Ok(bytes) => {
                    peer.received.extend_from_slice(&self.buffer[..bytes]);
                    self.handle(index);
                }
            }
        }
    }

    fn handle(&mut self, index: usize) {
        let Some(peer) = &mut self.peers[index] else {
            return;
        };
        if !peer.is_open {
            if let Some((topic, answer)) = open(&mut peer.received) {
                peer.is_open = true;
                peer.write(&answer);
                if let Some(topic) = topic {
                    peer.received = Vec::new();
                    self.topics.entry(topic).or_default().push(index);
                }
            }
            return;
        }
        // By topic, in order of first appearance.
        let mut batches: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        websocket::take_messages(&mut peer.received, |message| {
            let Some(space) = message.iter().position(|byte| *byte == b' ') else {
                return;
            };
            let (topic, frame) = (
                &message[..space],
                websocket::server_text(&message[space + 1..]),
            );
            match batches.iter_mut().find(|(known, _)| known == topic) {
                Some((_, batch)) if self.is_batching => batch.extend_from_slice(&frame),
                _ => batches.push((topic.to_vec(), frame)),
            }
        });
        for (topic, frame) in batches {
            self.fan_out(&topic, &frame);
        }
    }

    fn fan_out(&mut self, topic: &[u8], frame: &[u8]) {
        for index in self.topics.get(topic).into_iter().flatten() {
            if let Some(peer) = &mut self.peers[*index]
                && !peer.write(frame)
            {
                self.peers[*index] = None;
            }
        }
    }

    fn write_on(&mut self, index: usize) {
        if let Some(peer) = &mut self.peers[index]
            && !peer.write(&[])
        {
            self.peers[index] = None;
        }
    }
}

impl Peer {
    /// Writes what waits and then `bytes`, as far as the socket accepts them. Returns whether the peer may stay.
    fn write(&mut self, mut bytes: &[u8]) -> bool {
        while !self.waiting.is_empty() {
            match self.stream.write(self.waiting.as_slices().0) {
                Ok(taken) => drop(self.waiting.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting.extend(bytes);
                    return self.waiting.len() <= WAITING_BYTES_MAX;
                }
                Err(_) => return false,
            }
        }
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting.extend(bytes);
                    return true;
                }
                Err(_) => return false,
            }
        }
        true
    }
}

/// Takes a complete request off the front. Returns the topic in its path, if it is a subscriber's, and the response.
fn open(received: &mut Vec<u8>) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
    let end = memchr::memmem::find(received, b"\r\n\r\n")? + 4;
    let request = String::from_utf8_lossy(&received[..end]).into_owned();
    received.drain(..end);
    let path = request.split(' ').nth(1)?;
    let topic = path.strip_prefix("/sub/").map(|topic| topic.into());
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    Some((topic, websocket::response(key.as_bytes())))
}
