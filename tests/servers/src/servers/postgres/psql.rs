//! A `psql` session.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A `psql` process that runs one statement after the other.
#[derive(Debug)]
pub struct PsqlSession {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl PsqlSession {
    /// Runs `psql`, which waits for statements.
    pub(super) fn start(mut psql: Command) -> Self {
        let mut process = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().expect("piped")),
            process,
        }
    }

    /// Runs statements, and waits until they are done. Returns their output.
    ///
    /// # Panics
    /// When `psql` has ended.
    pub fn run(&mut self, statements: &str) -> String {
        const DONE: &str = "-- done --";
        let input = self.input.as_mut().expect("open until dropped");
        writeln!(input, "{statements}\n\\echo {DONE}").expect("psql reads");
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.output.read_line(&mut line).expect("psql writes");
            assert!(bytes > 0, "psql ended: {printed}");
            if line.trim_end() == DONE {
                return printed;
            }
            printed += &line;
        }
    }
}

impl Drop for PsqlSession {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
