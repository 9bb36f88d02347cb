//! `tidegate migrate`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use tidegate::backend::{Feed, Keep, survey};

const EXAMPLES: &str = "\
Examples:
  tidegate migrate --backend postgres://app@db/app --print > tidegate.sql
  tidegate migrate --backend sqlite:app.db

A server does the same when it starts, and logs the SQL if it changes an existing table. Tables and
columns are added. Nothing is removed, and your rows are not changed apart from the new columns.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Migrate {
    #[command(flatten)]
    backend: super::BackendArg,
    /// Only print the SQL, don't run it.
    #[arg(long)]
    print: bool,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let address = self.backend.address()?;
        let choice = survey(address, super::place::environment, &Keep::as_servers_say()).await?;
        eprintln!("tidegate: backend: {} ({})", choice.what, choice.why);
        let migration = match &choice.backend {
            Some(backend) => backend.migration().await?,
            None => None,
        };
        let (Some(sql), Some(backend)) = (migration, choice.backend) else {
            eprintln!("tidegate: nothing is missing");
            return Ok(ExitCode::SUCCESS);
        };
        let mut out = std::io::stdout();
        out.write_all(sql.trim_end().as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
        if self.print {
            return Ok(ExitCode::SUCCESS);
        }
        // What is opened adds what it lacks.
        backend.open(Feed::new(|_| {})).await?;
        backend.close().await?;
        eprintln!("tidegate: done");
        Ok(ExitCode::SUCCESS)
    }
}
