//! Runs a server as a process: started on one core, observed from another.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running process, seen from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) pid: u32,
}

impl Observed {
    /// The processor time of all its running threads, including time in the kernel.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread may end in between.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let first = text.split_whitespace().next();
            nanos += first
                .and_then(|nanos| nanos.parse::<u64>().ok())
                .context("the kernel does not tell processor time (schedstat)")?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// How many files it has open, sockets among them.
    pub(crate) fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.pid))?.count())
    }

    /// Bytes of memory that it occupies.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kib: u64 = kib.context("no VmRSS")?.trim().parse()?;
        Ok(kib * 1024)
    }
}

/// A server that is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server on a core, and waits until it listens. `command` gets the port.
    ///
    /// # Errors
    /// If it can't be started, or doesn't listen in time.
    pub(crate) fn start(core: usize, command: impl FnOnce(u16) -> Result<Command>) -> Result<Self> {
        let port = free_port()?;
        let mut command = command(port)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = spawn_on(core, &mut command)?;
        let name = command.get_program().to_string_lossy().into_owned();
        let mut server = Self {
            child: child.with_context(|| format!("cannot start {name}"))?,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let started = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended before it listened: {status}");
            }
            if started.elapsed() > START_MAX {
                bail!("{name} does not listen on {}", server.address);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "another program tells nobody that it listens"
            )]
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(server)
    }

    pub(crate) fn observed(&self) -> Observed {
        Observed {
            pid: self.child.id(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program on a core. The outer error means that the core can't be used.
#[cfg(target_os = "linux")]
fn spawn_on(core: usize, command: &mut Command) -> Result<io::Result<Child>> {
    // A child inherits its parent's core.
    let own = sched_getaffinity(None)?;
    pin(core)?;
    let child = command.spawn();
    sched_setaffinity(None, &own)?;
    Ok(child)
}

#[cfg(not(target_os = "linux"))]
fn spawn_on(core: usize, command: &mut Command) -> Result<io::Result<Child>> {
    pin(core)?;
    Ok(command.spawn())
}

/// Keeps this thread, and what it starts, on one core.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot run on core {core}"))
}

/// Without pinning, a server would share its core with the load generator, and its figures would mislead.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(core: usize) -> Result<()> {
    bail!("cannot run on core {core}: measuring needs Linux, which lets programs choose one")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
