//! `tidegate disconnect`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::StatusCode;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tidegate::client::ClientOptions;

use super::api::ApiClient;
use super::place::{TrustArg, server_url};
use super::say::say;

/// How long a server's answer may take: the server may wait for its backend.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer.
const BYTES_MAX: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  tidegate disconnect ada
  tidegate disconnect 7 --token-command \"tidegate token --jwt-secret-file secret --subscribe '**' --publish '**' --for 1m\"

Prints how many connections the user had at the server that was asked; those of other servers are not counted.
Clients that can get a new token come back with it. A token that was given out before is valid until it expires.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Disconnect {
    /// Who: the name or number that their tokens have as sub
    user: String,
    /// The server's address, also unix:/path/to/socket [env: TIDEGATE_SERVER=] [default: http://127.0.0.1:8420]. If it requires tokens, one that may
    /// subscribe to ** and publish to ** is needed: set TIDEGATE_TOKEN
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A shell command that prints a token
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    #[command(flatten)]
    trust: TrustArg,
}

/// What the server answers.
#[derive(Deserialize)]
struct Answer {
    disconnected: usize,
}

/// The server's answer if it refuses.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    message: String,
}

impl Disconnect {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let server = server_url(self.server.as_deref())?;
        let options = ClientOptions {
            trust: self.trust.trust()?,
            ..ClientOptions::default()
        };
        let mut api = ApiClient::new(&server, options, self.token_command)?;
        let body = json!({ "user": self.user }).to_string();
        let answer = api.post("/disconnect", body, BYTES_MAX);
        let Ok(answer) = tokio::time::timeout(PATIENCE, answer).await else {
            bail!("no answer within {} s", PATIENCE.as_secs());
        };
        let (status, body) = answer?;
        if !status.is_success() {
            match serde_json::from_slice::<Refusal>(&body) {
                Ok(refusal) => bail!("{}", refusal.error.message),
                Err(_) => bail!("the server answers {status}"),
            }
        }
        let answer: Answer =
            serde_json::from_slice(&body).context("this is not an answer of Tidegate")?;
        if status == StatusCode::ACCEPTED {
            say(format_args!(
                "the server has no link to other servers now, and tells them once it has one"
            ));
        }
        writeln!(std::io::stdout(), "{}", answer.disconnected)?;
        Ok(ExitCode::SUCCESS)
    }
}
