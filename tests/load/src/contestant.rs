//! The servers that are compared, and how each is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::certificate::Certificate;
use crate::dialect::Dialect;
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
    program: PathBuf,
    start: Start,
}

/// How a program gets its port.
#[derive(Clone, Debug)]
enum Start {
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
    /// The floor, Tidegate, and the peers that are found: programs on the PATH, and those that npm has installed in
    /// `peers`.
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
        let with = |name, role, dialect, program: &Path, arguments: &[&str]| Self {
            name,
            role,
            dialect,
            trust: None,
            program: program.to_path_buf(),
            start: Start::Arguments(arguments.iter().map(|text| (*text).to_owned()).collect()),
        };
        let mut all = vec![
            with("floor", Role::Floor, Dialect::Plain, &own, &floor),
            with(
                "floor, batching",
                Role::BatchingFloor,
                Dialect::Plain,
                &own,
                &batching,
            ),
            with(
                "Tidegate WebSocket",
                Role::Ours,
                Dialect::Tidegate,
                tidegate,
                &serve,
            ),
            with(
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
                ..with(
                    "Tidegate over TLS",
                    Role::Ours,
                    Dialect::Tidegate,
                    tidegate,
                    &arguments,
                )
            });
        }
        let Some(peers) = peers else {
            return Ok(all);
        };
        let scripts: [(_, _, &str, &str); 3] = [
            ("Bun", Dialect::Plain, "bun", "bun.mjs"),
            ("ws on Node", Dialect::Plain, "node", "ws.mjs"),
            (
                "socket.io on Node",
                Dialect::SocketIo,
                "node",
                "socket-io.mjs",
            ),
        ];
        for (name, dialect, program, script) in scripts {
            let script = peers.join(script);
            if let Some(program) = find(peers, program)
                && script.is_file()
            {
                let arguments = [&script.to_string_lossy(), "{port}"];
                all.push(with(name, Role::Peer, dialect, &program, &arguments));
            }
        }
        let programs: [(_, _, &str, &[&str]); 2] = [
            (
                "NATS",
                Dialect::Nats,
                "nats-server",
                &["-a", "127.0.0.1", "-p", "{port}", "-l", "/dev/null"],
            ),
            (
                "Redis",
                Dialect::Redis,
                "redis-server",
                &[
                    "--port",
                    "{port}",
                    "--save",
                    "",
                    "--maxclients",
                    "18000",
                    "--loglevel",
                    "warning",
                ],
            ),
        ];
        for (name, dialect, program, arguments) in programs {
            if let Some(program) = find(peers, program) {
                all.push(with(name, Role::Peer, dialect, &program, arguments));
            }
        }
        all.extend(Self::configured(peers));
        Ok(all)
    }

    /// The peers that need a configuration file.
    fn configured(peers: &Path) -> Vec<Self> {
        let nginx = include_str!("../peers/nginx.conf");
        let mosquitto = include_str!("../peers/mosquitto.conf");
        let known: [(_, _, &str, _, &[&str]); 3] = [
            ("nchan WebSocket", Dialect::Nchan, "nginx", nginx, &["-c"]),
            ("nchan SSE", Dialect::NchanSse, "nginx", nginx, &["-c"]),
            ("mosquitto", Dialect::Mqtt, "mosquitto", mosquitto, &["-c"]),
        ];
        let found = known
            .into_iter()
            .filter_map(|(name, dialect, program, text, arguments)| {
                if program == "nginx"
                    && !Path::new("/usr/lib/nginx/modules/ngx_nchan_module.so").exists()
                {
                    return None;
                }
                Some(Self {
                    name,
                    role: Role::Peer,
                    dialect,
                    trust: None,
                    program: find(peers, program)?,
                    start: Start::Configured {
                        folder: peers.to_path_buf(),
                        text,
                        arguments,
                    },
                })
            });
        found.collect()
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

/// Finds a program that npm has installed, or one on the PATH or in Debian's folders for servers.
fn find(peers: &Path, name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    [peers.join("node_modules/.bin")]
        .into_iter()
        .chain(env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
