//! A pooler in front of a PostgreSQL server.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::super::ports::free_port;
use super::super::programs::program;
use super::{PASSWORD, PATIENCE, PostgresServer, is_root};

/// A pgbouncer in transaction mode, with two server connections.
///
/// It ends with this value, and with the thread that started it, however that ends.
#[derive(Debug)]
pub struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    /// Starts a pooler, and waits until it listens.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(server: &PostgresServer) -> Self {
        let port = free_port();
        let folder = server.folder();
        let users = folder.join("users.txt");
        fs::write(&users, format!("\"tidegate\" \"{PASSWORD}\"\n")).expect("a new file");
        let settings = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             postgres = host=127.0.0.1 port={} dbname=postgres\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = plain\n\
             auth_file = {}\n\
             pool_mode = transaction\n\
             default_pool_size = 2\n\
             logfile =\n",
            server.port(),
            users.display()
        );
        fs::write(&settings, text).expect("a new file");
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
        }
        let process = command
            .arg("--pdeathsig=KILL")
            .arg(program("pgbouncer"))
            .arg("-q")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv is installed");
        let pooler = Self { process, port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "pgbouncer did not start");
        }
        pooler
    }

    /// The address of the database through the pooler, for tests without hangs.
    pub fn patient_url(&self) -> String {
        let (port, patience) = (self.port, PATIENCE.as_millis());
        format!("postgres://tidegate:{PASSWORD}@127.0.0.1:{port}/postgres?timeout_ms={patience}")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
