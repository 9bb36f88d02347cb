//! The servers of others: where each is looked for, how it is started, and what to install where it isn't found.

use std::env;
use std::path::{Path, PathBuf};

use crate::contestant::{Contestant, Role, Start};
use crate::dialect::Dialect;

const NCHAN_MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// What is built from `peers/centrifuge.go`. Debian has another program that is named centrifuge.
const CENTRIFUGE: &str = "centrifuge-server";

const NATS: &[&str] = &["-a", "127.0.0.1", "-p", "{port}", "-l", "/dev/null"];

const REDIS: &[&str] = &[
    "--port",
    "{port}",
    "--save",
    "",
    "--maxclients",
    "18000",
    "--loglevel",
    "warning",
];

/// A server that may be there.
struct Peer {
    name: &'static str,
    dialect: Dialect,
    program: &'static str,
    how: How,
    /// What to do where it isn't found.
    advice: &'static str,
}

/// How it is started.
enum How {
    /// By a script in the folder, followed by the port.
    Script(&'static str),
    /// By arguments, in which `{port}` stands for the port.
    Arguments(&'static [&'static str]),
    /// By `-c` and a configuration file, with a module, maybe, that must be there.
    Configured(&'static str, Option<&'static str>),
}

const BY_NPM: &str = "run npm install in the folder of the peers";
const BY_GO: &str = "see the first lines of tests/load/peers/centrifuge.go, or let cargo xtask bench servers --peers build it";
const BY_NCHAN: &str = "install Debian's libnginx-mod-nchan";

const ALL: &[Peer] = &[
    Peer {
        name: "Bun",
        dialect: Dialect::Plain,
        program: "bun",
        how: How::Script("bun.mjs"),
        advice: BY_NPM,
    },
    Peer {
        name: "ws on Node",
        dialect: Dialect::Plain,
        program: "node",
        how: How::Script("ws.mjs"),
        advice: BY_NPM,
    },
    Peer {
        name: "socket.io on Node",
        dialect: Dialect::SocketIo,
        program: "node",
        how: How::Script("socket-io.mjs"),
        advice: BY_NPM,
    },
    Peer {
        name: "centrifuge",
        dialect: Dialect::Centrifuge,
        program: CENTRIFUGE,
        how: How::Arguments(&["{port}"]),
        advice: BY_GO,
    },
    Peer {
        name: "centrifuge, recovery",
        dialect: Dialect::Centrifuge,
        program: CENTRIFUGE,
        how: How::Arguments(&["{port}", "recovery"]),
        advice: BY_GO,
    },
    Peer {
        name: "NATS",
        dialect: Dialect::Nats,
        program: "nats-server",
        how: How::Arguments(NATS),
        advice: "install Debian's nats-server",
    },
    Peer {
        name: "Redis",
        dialect: Dialect::Redis,
        program: "redis-server",
        how: How::Arguments(REDIS),
        advice: "install Debian's redis-server",
    },
    Peer {
        name: "nchan WebSocket",
        dialect: Dialect::Nchan,
        program: "nginx",
        how: How::Configured(include_str!("../peers/nginx.conf"), Some(NCHAN_MODULE)),
        advice: BY_NCHAN,
    },
    Peer {
        name: "nchan SSE",
        dialect: Dialect::NchanSse,
        program: "nginx",
        how: How::Configured(include_str!("../peers/nginx.conf"), Some(NCHAN_MODULE)),
        advice: BY_NCHAN,
    },
    Peer {
        name: "mosquitto",
        dialect: Dialect::Mqtt,
        program: "mosquitto",
        how: How::Configured(include_str!("../peers/mosquitto.conf"), None),
        advice: "install Debian's mosquitto",
    },
];

/// The peers whose programs are in the folder, on the PATH or where Debian keeps servers; and for each of the others a line that says
/// what to do.
pub(crate) fn look_for(folder: &Path) -> (Vec<Contestant>, Vec<String>) {
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for peer in ALL {
        match peer.contestant(folder) {
            Some(contestant) => found.push(contestant),
            None => left_out.push(format!("{} is left out: {}", peer.name, peer.advice)),
        }
    }
    (found, left_out)
}

impl Peer {
    fn contestant(&self, folder: &Path) -> Option<Contestant> {
        let program = find(folder, self.program)?;
        let told = |arguments: &[&str]| {
            Contestant::told(self.name, Role::Peer, self.dialect, &program, arguments)
        };
        match self.how {
            How::Script(script) => {
                let script = folder.join(script);
                (script.is_file() && folder.join("node_modules").is_dir())
                    .then(|| told(&[&script.to_string_lossy(), "{port}"]))
            }
            How::Arguments(arguments) => Some(told(arguments)),
            How::Configured(text, module) => {
                let is_there = module.is_none_or(|module| Path::new(module).exists());
                is_there.then(|| Contestant {
                    start: Start::Configured {
                        folder: folder.to_path_buf(),
                        text,
                        arguments: &["-c"],
                    },
                    ..told(&[])
                })
            }
        }
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    [folder.to_path_buf(), folder.join("node_modules/.bin")]
        .into_iter()
        .chain(env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_not_found_is_named_with_what_to_install() {
        let (found, left_out) = look_for(Path::new("/nowhere"));
        assert_eq!(found.len() + left_out.len(), ALL.len());
        let centrifuge = left_out.iter().find(|line| line.starts_with("centrifuge "));
        assert!(centrifuge.unwrap().contains("centrifuge.go"));
        let ws = left_out.iter().find(|line| line.starts_with("ws on Node"));
        assert!(ws.unwrap().contains("npm install"));
    }
}
