//! Redis on loopback, single or as a Cluster.

mod cluster;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use cluster::RedisCluster;

use super::ports::{free_ports, is_free};

/// How long a server may take to start, with its data.
const START_MAX: Duration = Duration::from_secs(30);

/// How many ports are tried.
const PORTS_TRIED_MAX: usize = 20;

/// A `redis-server` of its own, on a free port of loopback, in a folder of its own.
///
/// It ends with this value, and with the thread that started it, however that ends.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    options: Vec<String>,
    folder: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// A server that loses everything when it is killed.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// A server that has all its data after a kill and a restart.
    pub fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server with options of the command line.
    pub fn start_with(options: &[&str]) -> Self {
        let mut server = Self {
            port: 0,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            folder: tempfile::tempdir().expect("a temporary folder"),
            process: None,
        };
        // Another test may be faster to take a free port. The nodes of a Cluster use a second port among themselves.
        let mut ports = free_ports()
            .filter(|port| is_free(port + 10_000))
            .take(PORTS_TRIED_MAX);
        let is_up = ports.any(|port| {
            server.port = port;
            server.is_up_again()
        });
        assert!(is_up, "redis-server does not start");
        server
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `host:port`.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether it was not killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Runs `redis-cli`, and returns its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(arguments)
            .output()
            .expect("redis-cli is installed");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Restarts it on the same port, with the data that it kept.
    ///
    /// # Panics
    /// When it doesn't come up.
    pub fn restart(&mut self) {
        assert!(self.is_up_again(), "redis-server does not start");
    }

    fn is_up_again(&mut self) -> bool {
        self.kill();
        // The server must also end if the test is killed.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server"])
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let output = process.stdout.take().expect("piped");
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("Ready to accept connections") {
                    // The receiver may have given up.
                    let _ = ready.send(());
                }
            }
        });
        self.process = Some(process);
        is_ready.recv_timeout(START_MAX).is_ok()
    }

    /// Suspends it: connections stay open, but nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes it.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        let pid = Pid::from_child(process);
        kill_process(pid, signal).expect("it is our child");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
