//! The commands of the program, and what its exit status means.

mod api;
mod config;
mod disconnect;
mod environment;
mod get;
mod migrate;
mod place;
mod publish;
mod run;
mod say;
mod serve;
mod subscribe;
mod terminal;
mod text;
mod token;
mod top;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use environment::NotText;
use place::{BackendArg, PlaceArg, WrongAddress};
use say::say;
use tidegate::backend::BackendError;
use tidegate::client::ClientError;
use tidegate::core::lifecycle::EndReason;

const EXIT_STATUS: &str = "\
Exit status:
  0  done; for sub, the topic ended as complete
  1  something failed, or was refused; for get, nothing is published
  2  invalid command line or configuration
  3  no server answered, its certificate is not trusted, or the backend can't be reached
  4  sub: the topic ended as failed
  5  sub: the topic ended as cancelled
  run has the exit status of its command, and ends by the signal that ended it";

/// What to do if the backend that was named can't be reached.
const UNREACHABLE: &str = "is it running, and is its address right? Name another by --backend or TIDEGATE_BACKEND \
    (auto takes what answers)";

/// Live progress, from where work happens to where people watch.
#[derive(Parser)]
#[command(name = "tidegate", version, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server and its dashboard.
    Serve(serve::Serve),
    /// Publish a JSON value, or a stream of values from standard input.
    Pub(publish::Publish),
    /// Print publications of a topic or pattern, until the topic ends.
    Sub(subscribe::Subscribe),
    /// Print the latest publications of topics or patterns, and exit.
    Get(get::Get),
    /// Watch a server's topics: rates, subscribers and latest values.
    Top(top::Top),
    /// Run a command and publish its start, progress, last line and outcome.
    Run(run::Run),
    /// End all connections of a user, on all servers that share the backend.
    Disconnect(disconnect::Disconnect),
    /// Make a token for a server that requires one.
    Token(token::Token),
    /// Show the SQL that a database or SQLite file still needs, and run it.
    Migrate(migrate::Migrate),
    /// Check or print the configuration of a server.
    Config(config::Config),
    /// Print a completion script for a shell.
    Completions {
        /// The shell: bash, zsh, fish, elvish or powershell.
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Runs the command, and returns the exit status.
    pub(crate) fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error.into()),
        };
        let result = match self.command {
            Command::Serve(serve) => runtime.block_on(serve.run()),
            Command::Pub(publish) => runtime.block_on(publish.run()),
            Command::Sub(subscribe) => runtime.block_on(subscribe.run()),
            Command::Get(get) => runtime.block_on(get.run()),
            Command::Top(top) => runtime.block_on(top.run()),
            Command::Run(run) => runtime.block_on(run.run()),
            Command::Disconnect(disconnect) => runtime.block_on(disconnect.run()),
            Command::Token(token) => token.run(),
            Command::Migrate(migrate) => runtime.block_on(migrate.run()),
            Command::Config(config) => config.run(),
            Command::Completions { shell } => complete(shell).map(|()| ExitCode::SUCCESS),
        };
        // Reading standard input may still block a thread of the runtime, which must not delay the exit.
        runtime.shutdown_background();
        result.unwrap_or_else(|error| fail(&error))
    }
}

/// Prints the script with which a shell completes our commands.
fn complete(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    let mut out = std::io::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(())
}

fn fail(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    say(describe(error));
    if error.is::<WrongAddress>()
        || error.is::<NotText>()
        || error.is::<config::Problems>()
        || error.is::<Misconfigured>()
    {
        return ExitCode::from(2);
    }
    if let Some(BackendError::Unreachable { .. }) = error.downcast_ref() {
        say(UNREACHABLE);
        return ExitCode::from(3);
    }
    match error.downcast_ref() {
        Some(ClientError::Unreachable { .. } | ClientError::Insecure(_)) => ExitCode::from(3),
        Some(ClientError::Url(_) | ClientError::Trust(_)) => ExitCode::from(2),
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// An error with its causes. Many errors contain the text of their cause, which is printed only once.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            let joint = if text.is_empty() { "" } else { ": " };
            text.extend([joint, &cause]);
        }
    }
    text
}

/// The command line, the environment and the files together make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.0))]
struct Misconfigured(anyhow::Error);

impl Misconfigured {
    /// Marks an error as one that trying again doesn't change.
    fn because(error: anyhow::Error) -> anyhow::Error {
        Self(error).into()
    }
}

/// The reader of our output, such as `head`, has had enough, which is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error: Option<&std::io::Error> = error.downcast_ref();
    io_error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_code(reason: EndReason) -> ExitCode {
    match reason {
        EndReason::Complete => ExitCode::SUCCESS,
        EndReason::Failed => ExitCode::from(4),
        EndReason::Cancelled => ExitCode::from(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
