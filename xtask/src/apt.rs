//! Installs Debian packages, if that is possible without asking for a password.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::child::Step;
use crate::workspace::{Workspace, find_program, output_of};

/// How long another program may hold the package database before we give up, in seconds.
const LOCK_WAIT_SECONDS: u32 = 180;

/// How commands that change the system are run.
#[derive(Clone, Copy)]
pub(crate) enum Privilege {
    /// This process is root.
    Root,
    /// Through sudo, which must not ask for a password.
    Sudo,
}

impl Privilege {
    /// The privilege of this process; `None` if it has none.
    pub(crate) fn of_this_process() -> Option<Self> {
        if output_of("id", &["-u"])? == "0" {
            return Some(Self::Root);
        }
        find_program(&["sudo"])?;
        output_of("sudo", &["-n", "true"]).map(|_| Self::Sudo)
    }

    /// A command that runs with this privilege.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", program]);
                command
            }
        }
    }
}

/// Whether this is Debian or a derivative, with apt-get.
pub(crate) fn available() -> bool {
    Path::new("/etc/debian_version").exists() && find_program(&["apt-get"]).is_some()
}

/// Installs packages, without those that they only recommend.
///
/// # Errors
/// If this process may not install: the error gives the command to run.
pub(crate) fn install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !available() {
        bail!("this system has no apt-get to install {list} with");
    }
    let Some(privilege) = Privilege::of_this_process() else {
        bail!(
            "{list} must be installed, and this process is neither root nor allowed to use sudo \
             without a password; run: sudo apt-get install --no-install-recommends {list}"
        );
    };
    let lock_wait = format!("DPkg::Lock::Timeout={LOCK_WAIT_SECONDS}");
    let apt = |arguments: &[&str]| {
        let mut command = privilege.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-q", "-o", &lock_wait]).args(arguments);
        command
    };
    Step::new(workspace, "apt-get update", apt(&["update"])).run()?;
    let install = ["install", "-y", "--no-install-recommends"];
    let arguments = [&install, packages].concat();
    let title = format!("apt-get install {list}");
    Step::new(workspace, &title, apt(&arguments))
        .run()
        .with_context(|| format!("installing {list}"))?;
    Ok(())
}
