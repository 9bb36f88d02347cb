//! The publishers: jobs that report their progress, end, and restart.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use mio::{Interest, Poll, Token};

use crate::dialect::Dialect;
use crate::pipe::Pipe;
use crate::swarm;
use crate::websocket::client_text;

/// How many publications a job has, its terminal one included.
const STEPS: u32 = 120;

/// The topic of a job.
pub(super) fn topic(job: usize) -> String {
    format!("job:{job}")
}

/// All jobs, and the one connection over which they publish.
pub(super) struct Jobs {
    stream: Pipe<mio::net::TcpStream>,
    /// The number of steps that each job has taken.
    steps: Vec<u32>,
    next: usize,
    pub(super) published: u64,
    pub(super) ended: u64,
    buffer: Vec<u8>,
}

impl Jobs {
    pub(super) fn open(poll: &Poll, token: Token, server: SocketAddr, jobs: usize) -> Result<Self> {
        let mut stream = swarm::open(server, None, &Dialect::Tidegate.publisher())?;
        poll.registry()
            .register(&mut stream, token, Interest::READABLE)?;
        Ok(Self {
            stream,
            // Staggered, so that they don't all end at once.
            steps: (0..jobs).map(|job| job as u32 % STEPS).collect(),
            next: 0,
            published: 0,
            ended: 0,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// The next jobs, in turn, take a step each.
    pub(super) fn publish(&mut self, count: u32) -> Result<()> {
        let mut out = Vec::new();
        for _ in 0..count {
            let job = self.next;
            self.next = (job + 1) % self.steps.len();
            self.steps[job] += 1;
            let (step, topic) = (self.steps[job], topic(job));
            let end = if step >= STEPS {
                self.steps[job] = 0;
                self.ended += 1;
                r#","end":"complete""#
            } else {
                ""
            };
            let frame = format!(
                r#"{{"type":"publish","ref":1,"topic":"{topic}","restart":true{end},"data":{{"done":{step},"total":{STEPS}}}}}"#
            );
            out.extend_from_slice(&client_text(frame.as_bytes()));
        }
        self.published += u64::from(count);
        self.write(&out)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.read()?,
                Err(error) => return Err(error).context("the server closed the publisher"),
            }
        }
        Ok(())
    }

    /// Reads the server's answers, and checks that everything was published.
    pub(super) fn read(&mut self) -> Result<()> {
        loop {
            let bytes = match self.stream.read(&mut self.buffer) {
                Ok(0) => bail!("the server closed the publisher's connection"),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the publisher's connection broke"),
            };
            let read = &self.buffer[..bytes];
            if memmem::find(read, br#""type":"error""#).is_some() {
                bail!("a publish failed: {}", String::from_utf8_lossy(read));
            }
        }
    }
}
