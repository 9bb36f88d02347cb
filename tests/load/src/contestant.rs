//! The servers that are compared, and how each is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::certificate::Certificate;
use crate::dialect::Dialect;
use crate::peers;
use crate::pipe::Trust;

/// The role of a server in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The baseline for servers that write once per delivery.
    Floor,
    /// The baseline for servers that batch their writes.
    BatchingFloor,
    Ours,
    Peer,
}

/// A server in the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) dialect: Dialect,
    /// The certificate to trust, if it speaks TLS.
    pub(crate) trust: Option<Trust>,
    pub(crate) program: PathBuf,
    pub(crate) start: Start,
}

/// How a program gets its port.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// By these arguments; `{port}` stands for the port.
    Arguments(Vec<String>),
    /// By a configuration file; `{port}` stands for the port, and `{folder}` for a folder for its files.
    Configured {
        folder: PathBuf,
        text: &'static str,
        arguments: &'static [&'static str],
    },
}

impl Contestant {
    /// The floor and Tidegate, and the peers that are found in the folder `peers` and on the PATH. What is left out is told.
    pub(crate) fn all(
        tidegate: &Path,
        certificate: Option<&Certificate>,
        peers: Option<&Path>,
    ) -> Result<Vec<Self>> {
        let own = env::current_exe().context("this program does not know where it is")?;
        let floor = ["floor", "--listen", "127.0.0.1:{port}"];
        let batching = ["floor", "--batching", "--listen", "127.0.0.1:{port}"];
        let serve = [
            "serve",
            "--backend",
            "memory",
            "--listen",
            "127.0.0.1:{port}",
        ];
        let mut all = vec![
            Self::told("floor", Role::Floor, Dialect::Plain, &own, &floor),
            Self::told(
                "floor, batching",
                Role::BatchingFloor,
                Dialect::Plain,
                &own,
                &batching,
            ),
            Self::told(
                "Tidegate WebSocket",
                Role::Ours,
                Dialect::Tidegate,
                tidegate,
                &serve,
            ),
            Self::told(
                "Tidegate SSE",
                Role::Ours,
                Dialect::TidegateSse,
                tidegate,
                &serve,
            ),
        ];
        if let Some(certificate) = certificate {
            let (chain, key) = certificate.files();
            let more = [
                "--tls-cert",
                &chain.to_string_lossy(),
                "--tls-key",
                &key.to_string_lossy(),
            ];
            let arguments = [&serve[..], &more].concat();
            all.push(Self {
                trust: Some(Trust::only(&chain)?),
                ..Self::told(
                    "Tidegate over TLS",
                    Role::Ours,
                    Dialect::Tidegate,
                    tidegate,
                    &arguments,
                )
            });
        }
        if let Some(folder) = peers {
            // Some programs look for their files from where they are at home.
            let folder = fs::canonicalize(folder)
                .with_context(|| format!("there is no folder {}", folder.display()))?;
            let (found, left_out) = peers::look_for(&folder);
            for peer in left_out {
                eprintln!("{peer}");
            }
            all.extend(found);
        }
        Ok(all)
    }

    /// A server that is told by arguments where to listen.
    pub(crate) fn told(
        name: &'static str,
        role: Role,
        dialect: Dialect,
        program: &Path,
        arguments: &[&str],
    ) -> Self {
        Self {
            name,
            role,
            dialect,
            trust: None,
            program: program.to_path_buf(),
            start: Start::Arguments(arguments.iter().map(|text| (*text).to_owned()).collect()),
        }
    }

    /// The command that starts it on a port.
    pub(crate) fn command(&self, port: u16) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.env("RUST_LOG", "warn");
        match &self.start {
            Start::Arguments(arguments) => {
                let filled = arguments
                    .iter()
                    .map(|text| text.replace("{port}", &port.to_string()));
                command.args(filled);
            }
            Start::Configured {
                folder,
                text,
                arguments,
            } => {
                let file = folder.join(format!("{port}.conf"));
                let text = text.replace("{port}", &port.to_string());
                let text = text.replace("{folder}", &folder.to_string_lossy());
                fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
                command.args(*arguments).arg(file);
            }
        }
        Ok(command)
    }
}
