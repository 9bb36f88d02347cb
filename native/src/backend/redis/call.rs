//! The scripts, and the form of calls to them.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Script};

/// A script and its digest, by which a server refers to it once it has seen it.
pub(super) struct Prepared {
    code: &'static str,
    digest: String,
}

fn prepared(code: &'static str) -> Prepared {
    Prepared {
        code,
        digest: Script::new(code).get_hash().to_owned(),
    }
}

pub(super) static PUBLISH: LazyLock<Prepared> =
    LazyLock::new(|| prepared(include_str!("publish.lua")));
pub(super) static READ: LazyLock<Prepared> = LazyLock::new(|| prepared(include_str!("read.lua")));
pub(super) static RENEW: LazyLock<Prepared> = LazyLock::new(|| prepared(include_str!("renew.lua")));
pub(super) static CURSORS: LazyLock<Prepared> =
    LazyLock::new(|| prepared(include_str!("cursors.lua")));
pub(super) static LEASE: LazyLock<Prepared> = LazyLock::new(|| prepared(include_str!("lease.lua")));
pub(super) static RELEASE: LazyLock<Prepared> =
    LazyLock::new(|| prepared(include_str!("release.lua")));

/// One command of a pipeline.
pub(super) enum Call {
    /// A script.
    Script {
        script: &'static Prepared,
        keys: Vec<String>,
        args: Vec<Vec<u8>>,
    },
    /// Any other command.
    Plain(Cmd),
}

/// How calls are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Scripts by their digests.
    Short,
    /// Scripts in full, to a server that has not seen them.
    Full,
}

impl Call {
    /// A call of a script. Each argument is anything with bytes.
    pub(super) fn script<const N: usize>(
        script: &'static Prepared,
        keys: Vec<String>,
        args: [&dyn AsRef<[u8]>; N],
    ) -> Self {
        Self::Script {
            script,
            keys,
            args: args.iter().map(|arg| arg.as_ref().to_vec()).collect(),
        }
    }

    /// About how many bytes it has on the wire.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Script { args, .. } => 256 + args.iter().map(Vec::len).sum::<usize>(),
            Self::Plain(_) => 256,
        }
    }

    pub(super) fn write(&self, pipeline: &mut Pipeline, form: Form) {
        let cmd = match self {
            Self::Plain(cmd) => cmd.clone(),
            Self::Script { script, keys, args } => {
                let mut cmd = match form {
                    Form::Short => redis::cmd("EVALSHA").arg(&script.digest).take(),
                    Form::Full => redis::cmd("EVAL").arg(script.code).take(),
                };
                cmd.arg(keys.len());
                for key in keys {
                    cmd.arg(key);
                }
                for arg in args {
                    cmd.arg(arg.as_slice());
                }
                cmd
            }
        };
        pipeline.add_command(cmd);
    }
}
