//! A PostgreSQL server for a single test.

mod pooler;
mod psql;
mod template;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub use pooler::Pooler;
pub use psql::PsqlSession;

use super::ports::free_port;
use super::programs::program;

/// How long a server may take to start or to stop, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of the user `tidegate`, which must never be seen anywhere.
pub const PASSWORD: &str = "s3cret-tide";

/// Settings for speed: data need not survive a crash of the machine, only of the server's processes.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "shared_buffers=32MB",
    "max_wal_size=256MB",
    "lc_messages=C",
    "autovacuum_naptime=5s",
];

/// A PostgreSQL server in a folder of its own, on a port of its own.
///
/// It is killed, and its folder removed, when this is dropped, and also if the test's process is killed: a shell waits
/// for the end of a pipe that the process holds.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    server: Option<Child>,
    watchdog: Child,
}

impl PostgresServer {
    /// Starts a server, and waits until it takes connections.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with settings, such as `max_connections=5`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_with(settings: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join(format!(
            "tidegate-postgres-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir(&folder).expect("a new folder");
        let watchdog = watch(&folder);
        run(Command::new("cp")
            .arg("-a")
            .arg(template::prepared(&folder))
            .arg(folder.join("data")));
        if is_root() {
            run(Command::new("chown").arg("nobody").arg(&folder));
        }
        let mut server = Self {
            watchdog,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            server: None,
            folder,
        };
        server.restart();
        server
    }

    /// The address, with user, password and database.
    pub fn url(&self) -> String {
        let port = self.port;
        format!("postgres://tidegate:{PASSWORD}@127.0.0.1:{port}/postgres")
    }

    /// The address for tests without hangs: however busy the machine is, the link must not count as lost.
    pub fn patient_url(&self) -> String {
        format!("{}?timeout_ms={}", self.url(), PATIENCE.as_millis())
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder that the server's socket is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a file in the server's data folder readable only by the server.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn own(&self, file: &str) {
        let file = self.folder.join("data").join(file);
        if is_root() {
            run(Command::new("chown").arg("nobody").arg(&file));
        }
        run(Command::new("chmod").arg("600").arg(&file));
    }

    /// Runs `psql` with arguments, and returns its output, without headings and alignment.
    ///
    /// # Panics
    /// When it fails.
    pub fn psql(&self, arguments: &[&str]) -> String {
        run(self.psql_command().args(arguments))
    }

    /// Runs one statement with `psql`.
    ///
    /// # Panics
    /// When it fails.
    pub fn sql(&self, statement: &str) -> String {
        self.psql(&["-c", statement])
    }

    /// Repeats a statement until its result is `expected`.
    ///
    /// # Panics
    /// If it never is.
    pub fn wait_for(&self, statement: &str, expected: &str) {
        let started = Instant::now();
        loop {
            let answer = self.sql(statement);
            if answer == expected {
                return;
            }
            let waited = started.elapsed();
            assert!(
                waited < PATIENCE,
                "{statement}: {answer} after {waited:?}, not {expected}"
            );
        }
    }

    /// Waits until no connection of Tidegate is left.
    ///
    /// # Panics
    /// When some stay.
    pub fn wait_until_left_alone(&self) {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate'";
        self.wait_for(count, "0");
    }

    /// Opens a `psql` session, for transactions that stay open.
    ///
    /// # Panics
    /// When it can't be run.
    pub fn psql_session(&self) -> PsqlSession {
        PsqlSession::start(self.psql_command())
    }

    fn psql_command(&self) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "tidegate",
        ]);
        psql.args(["-d", "postgres", "-p", &self.port.to_string()]);
        psql.arg("-h").arg(&self.folder);
        psql
    }

    /// Kills all processes of the server at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            self.signal_all(&server, "KILL");
            let _ = server.wait();
        }
    }

    /// Suspends all processes of the server.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn pause(&self) {
        self.signal_all(self.server.as_ref().expect("the server runs"), "STOP");
    }

    /// Resumes them.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn resume(&self) {
        self.signal_all(self.server.as_ref().expect("the server runs"), "CONT");
    }

    fn signal_all(&self, server: &Child, signal: &str) {
        let mut family = vec![server.id()];
        family.extend(children(server.id()));
        let family = family.iter().map(ToString::to_string);
        // A process may have ended by itself meanwhile.
        let _ = Command::new("kill")
            .arg(format!("-{signal}"))
            .args(family)
            .stderr(Stdio::null())
            .status();
    }

    /// Starts the server again after [`PostgresServer::kill`], with its data, and waits until it takes connections.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn restart(&mut self) {
        assert!(self.server.is_none(), "the server runs");
        let mut said = String::new();
        // The processes of a killed server may hold its memory or its port for a moment.
        for _ in 0..50 {
            match self.try_start() {
                Ok(server) => {
                    self.server = Some(server);
                    return;
                }
                Err(log) => said = log,
            }
        }
        panic!("PostgreSQL did not start: {said}");
    }

    fn try_start(&self) -> Result<Child, String> {
        let mut command = as_nobody("postgres");
        command.arg("-D").arg(self.folder.join("data"));
        command.arg("-k").arg(&self.folder);
        command.args(["-p", &self.port.to_string()]);
        let settings = SETTINGS
            .into_iter()
            .chain(self.settings.iter().map(String::as_str));
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut server = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("postgres runs");
        let log = BufReader::new(server.stderr.take().expect("piped"));
        let (ready, is_ready) = mpsc::channel();
        // The output must be read as long as the server writes.
        std::thread::spawn(move || {
            let mut said = String::new();
            for line in log.lines().map_while(Result::ok) {
                if line.contains("database system is ready to accept connections") {
                    let _ = ready.send(Ok(()));
                } else if said.len() < 4096 {
                    said += &format!("{line}\n");
                }
            }
            let _ = ready.send(Err(said));
        });
        match is_ready.recv_timeout(PATIENCE) {
            Ok(Ok(())) => Ok(server),
            Ok(Err(said)) => {
                let _ = server.wait();
                Err(said)
            }
            Err(_) => panic!("PostgreSQL did not start within {PATIENCE:?}"),
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        // Without this file, the watchdog kills no process, and only removes the folder.
        let _ = fs::remove_file(self.folder.join("data/postmaster.pid"));
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// PostgreSQL's programs refuse to run as root.
fn as_nobody(name: &str) -> Command {
    let path = program(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
        .arg(path);
    command
}

/// Whether this runs as root.
///
/// # Panics
/// On systems without `/proc`.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").expect("a process").uid() == 0
}

/// Kills the server and removes its folder once the pipe to it is closed.
fn watch(folder: &Path) -> Child {
    Command::new("sh")
        .args([
            "-c",
            r#"read _; pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && pkill -KILL -P "$pid"; [ -n "$pid" ] && kill -KILL "$pid"; rm -rf "$0""#,
        ])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh runs")
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // After the name, which is in parentheses and may contain anything, follow the state and the parent.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    fs::read_dir("/proc")
        .expect("processes")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program is installed");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {stderr}");
    String::from_utf8(stdout)
        .expect("text")
        .trim_end()
        .to_owned()
}
