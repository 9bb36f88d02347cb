//! The server's configuration by flags, the environment and a file; and `tidegate config`, which shows the result.
//!
//! Each setting has one name: `--publish-rate` is `publish_rate` in the file and `TIDEGATE_PUBLISH_RATE` in the environment. A flag takes
//! precedence over a variable, and a variable over the file. The settings, their values and their defaults are defined in one place: as
//! flags, in [`Settings`](super::serve::Settings).

mod file;
mod layers;
mod options;
mod problem;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::say::say;
pub(super) use layers::{Environment, InForce, in_force};
pub(super) use options::Flags;
pub(super) use problem::Problems;

const PRECEDENCE: &str = "\
Every setting is a flag, a variable and a key in the file: --publish-rate, TIDEGATE_PUBLISH_RATE, publish_rate. Flags
override variables, and variables override the file. Separate multiple values in a variable with spaces. Secrets have no
flags, because other users of the machine can see command lines.";

#[derive(Args)]
#[command(after_help = PRECEDENCE)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report what is wrong with a configuration, or show which settings would be in force.
    Check(Sources),
    /// Print the settings that would be in force as a configuration file, with the meaning of each.
    Print(Sources),
}

/// What a configuration is made of, beside the environment.
#[derive(Args)]
#[command(after_help = PRECEDENCE)]
struct Sources {
    /// The configuration file, in TOML [env: TIDEGATE_CONFIG=]
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Check(sources) => {
                let in_force = sources.in_force()?;
                let config = in_force.settings.config()?;
                in_force.settings.check_reach(&config)?;
                show::as_table(&in_force, &mut std::io::stdout())?;
            }
            Command::Print(sources) => {
                show::as_file(&sources.in_force()?, &mut std::io::stdout())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Sources {
    fn in_force(&self) -> Result<InForce, Problems> {
        let in_force = in_force(
            &self.flags,
            self.file.as_deref(),
            &Environment::of_process(),
        )?;
        for warning in &in_force.warnings {
            say(warning);
        }
        Ok(in_force)
    }
}
