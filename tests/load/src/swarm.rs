//! Many subscribers in one thread, and one connection that publishes to them.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use mio::{Events, Interest, Poll, Token};

use crate::dialect::{Dialect, Step};
use crate::mark::Scanner;
use crate::pipe::{Pipe, Trust};

/// Pings are answered after every this many connections: connecting all of them may take longer than a server's
/// heartbeat.
const ALIVE_EVERY: usize = 256;

const PUBLISHER: Token = Token(usize::MAX);

/// How long a server may take to answer a step of opening, or to deliver anything more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Open connections and what they have received.
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    subscribers: Vec<Subscriber>,
    /// Subscribers that read nothing; only their sockets are kept.
    stalled: Vec<Pipe<TcpStream>>,
    publisher: Pipe<mio::net::TcpStream>,
    /// The server's ping, and the answer to it.
    ping: Option<Ping>,
    buffer: Vec<u8>,
    pub(crate) received: Received,
}

/// The text to look for, and the answer.
type Ping = (memmem::Finder<'static>, Vec<u8>);

struct Subscriber {
    stream: Pipe<mio::net::TcpStream>,
    scanner: Scanner,
}

/// What all subscribers together have received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
}

/// The connections to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) dialect: Dialect,
    /// The certificate to trust, if the server speaks TLS.
    pub(crate) trust: Option<&'a Trust>,
    /// The number of subscribers that read.
    pub(crate) subscribers: usize,
    /// Subscribers that read nothing.
    pub(crate) stalled: usize,
    /// The number of topics over which the subscribers are distributed.
    pub(crate) topics: usize,
}

/// The name of a topic.
pub(crate) fn topic(index: usize) -> String {
    format!("bench:{index}")
}

impl Swarm {
    /// Connects all, and waits until they are subscribed.
    ///
    /// # Errors
    /// If the server refuses one, or does not answer in time.
    pub(crate) fn connect(plan: Plan<'_>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut publisher = open(plan.server, plan.trust, &plan.dialect.publisher())?;
        poll.registry()
            .register(&mut publisher, PUBLISHER, Interest::READABLE)?;
        let mut swarm = Self {
            poll,
            events: Events::with_capacity(1024),
            subscribers: Vec::with_capacity(plan.subscribers),
            stalled: Vec::new(),
            publisher,
            ping: plan
                .dialect
                .ping()
                .map(|(sign, answer)| (memmem::Finder::new(sign), answer)),
            buffer: vec![0; 256 * 1024],
            received: Received::default(),
        };
        for index in 0..plan.stalled {
            let mut stream = Pipe::connect(plan.server, plan.trust, PATIENCE)?;
            rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4096)?;
            let topic = topic(index % plan.topics);
            take_steps(&mut stream, &plan.dialect.subscribe(&topic))
                .with_context(|| format!("stalled subscriber {index}"))?;
            swarm.stalled.push(stream);
        }
        for index in 0..plan.subscribers {
            let steps = plan.dialect.subscribe(&topic(index % plan.topics));
            let mut stream = open(plan.server, plan.trust, &steps)
                .with_context(|| format!("subscriber {index}"))?;
            let registry = swarm.poll.registry();
            registry.register(&mut stream, Token(index), Interest::READABLE)?;
            swarm.subscribers.push(Subscriber {
                stream,
                scanner: Scanner::default(),
            });
            if swarm.subscribers.len().is_multiple_of(ALIVE_EVERY) {
                swarm.answer()?;
            }
        }
        Ok(swarm)
    }

    /// Sends bytes over the publisher's connection.
    pub(crate) fn publish(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.publisher.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.read(Some(Duration::from_millis(1)), |_| {})?;
                }
                Err(error) => return Err(error).context("the server closed the publisher"),
            }
        }
        Ok(())
    }

    /// Reads until there are this many deliveries in total. `found` is called with the number of each.
    ///
    /// # Errors
    /// If nothing more arrives, which means that the server has lost something.
    pub(crate) fn read_until(&mut self, deliveries: u64, mut found: impl FnMut(u64)) -> Result<()> {
        let mut progress = (self.received.deliveries, Instant::now());
        while self.received.deliveries < deliveries {
            self.read(Some(Duration::from_secs(1)), &mut found)?;
            if self.received.deliveries > progress.0 {
                progress = (self.received.deliveries, Instant::now());
            } else if progress.1.elapsed() > PATIENCE {
                let missing = deliveries - self.received.deliveries;
                bail!("{missing} of {deliveries} deliveries did not come");
            }
        }
        Ok(())
    }

    /// Lets time pass, and answers the server's pings.
    pub(crate) fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.read(Some(left), |_| {})?;
        }
    }

    /// Answers all signs of life that the server has asked for so far.
    pub(crate) fn answer(&mut self) -> Result<()> {
        loop {
            self.read(Some(Duration::ZERO), |_| {})?;
            if self.events.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits up to `patience` until something arrives, forever if it is `None`, and reads it.
    pub(crate) fn read(
        &mut self,
        patience: Option<Duration>,
        mut found: impl FnMut(u64),
    ) -> Result<()> {
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            if event.token() == PUBLISHER {
                drain(&mut self.publisher, &mut self.buffer, self.ping.as_ref())?;
                continue;
            }
            let Subscriber { stream, scanner } = &mut self.subscribers[event.token().0];
            loop {
                let bytes = match stream.read(&mut self.buffer) {
                    Ok(0) => bail!("the server closed a subscriber's connection"),
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("a subscriber's connection broke"),
                };
                let read = &self.buffer[..bytes];
                let received = &mut self.received;
                received.bytes += bytes as u64;
                scanner.feed(read, |number| {
                    received.deliveries += 1;
                    found(number);
                });
                if let Some((sign, answer)) = &self.ping
                    && sign.find(read).is_some()
                {
                    stream.write_all(answer)?;
                }
                // Further data raises another event.
                if bytes < self.buffer.len() && stream.is_emptied_by_short_read() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads and discards the answers to the publisher.
fn drain(
    stream: &mut Pipe<mio::net::TcpStream>,
    buffer: &mut [u8],
    ping: Option<&Ping>,
) -> Result<()> {
    loop {
        match stream.read(buffer) {
            Ok(0) => bail!("the server closed the publisher's connection"),
            Ok(bytes) => {
                if let Some((sign, answer)) = ping
                    && sign.find(&buffer[..bytes]).is_some()
                {
                    stream.write_all(answer)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("the publisher's connection broke"),
        }
    }
}

/// Connects, and carries out the steps of opening.
pub(crate) fn open(
    server: SocketAddr,
    trust: Option<&Trust>,
    steps: &[Step],
) -> Result<Pipe<mio::net::TcpStream>> {
    let mut stream = Pipe::connect(server, trust, PATIENCE)?;
    take_steps(&mut stream, steps)?;
    stream.into_nonblocking()
}

fn take_steps(stream: &mut Pipe<TcpStream>, steps: &[Step]) -> Result<()> {
    for step in steps {
        stream.write_all(&step.send)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while memmem::find(&answer, step.expect).is_none() {
            let bytes = stream.read(&mut buffer).context("no answer in time")?;
            if bytes == 0 {
                bail!(
                    "the server closed the connection, after {:?}",
                    String::from_utf8_lossy(&answer)
                );
            }
            answer.extend_from_slice(&buffer[..bytes]);
        }
    }
    Ok(())
}
