//! `tidegate migrate`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use tidegate::backend::{Backend, Feed, Keep};
use tidegate::core::topic::Pattern;

use super::say::say;

const EXAMPLES: &str = "\
Examples:
  tidegate migrate --backend postgres://app@db/app --print > tidegate.sql
  tidegate migrate --backend sqlite:app.db
  tidegate migrate --backend redis://cache --new-epochs

A server does the same when it starts, and logs the SQL if it changes an existing table. Tables and
columns are added. Nothing is removed, and your rows are not changed apart from the new columns.

After a backup was restored, positions are used again that clients have seen before. Run it with
--new-epochs before servers start: clients that resume are told to reset then, and miss nothing
silently. Of each topic's history, the latest publication stays.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Migrate {
    #[command(flatten)]
    backend: super::BackendArg,
    /// Only print the SQL, don't run it.
    #[arg(long)]
    print: bool,
    /// Begin a new epoch of every topic, as after a backup was restored.
    #[arg(long, conflicts_with = "print")]
    new_epochs: bool,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let choice = self.backend.survey(&Keep::as_servers_say()).await?;
        say(format_args!("backend: {} ({})", choice.what, choice.why));
        if self.new_epochs {
            return begin_epochs(choice.backend.as_deref()).await;
        }
        let migration = match &choice.backend {
            Some(backend) => backend.migration().await?,
            None => None,
        };
        let (Some(sql), Some(backend)) = (migration, choice.backend) else {
            say("nothing is missing");
            return Ok(ExitCode::SUCCESS);
        };
        let mut out = std::io::stdout();
        out.write_all(sql.trim_end().as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        if self.print {
            return Ok(ExitCode::SUCCESS);
        }
        // Opening the backend adds what it lacks.
        backend.open(Feed::new(|_| {})).await?;
        backend.close().await?;
        say("done");
        Ok(ExitCode::SUCCESS)
    }
}

/// Begins a new epoch of every topic that the backend has.
async fn begin_epochs(backend: Option<&dyn Backend>) -> anyhow::Result<ExitCode> {
    let mut count = 0;
    if let Some(backend) = backend {
        backend.open(Feed::new(|_| {})).await?;
        for excerpt in backend.list(&Pattern::new("**")?).await? {
            backend
                .renew(&excerpt.topic, excerpt.position.epoch)
                .await?;
            count += 1;
        }
        backend.close().await?;
    }
    say(format_args!("topics with a new epoch: {count}"));
    Ok(ExitCode::SUCCESS)
}
