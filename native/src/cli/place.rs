//! What the program talks to: a server, or a backend without one.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr as _;

use anyhow::anyhow;
use clap::Args;
use tidegate::backend::{Address, BackendError, Choice, Keep, choose, survey};
use tidegate::client::{ClientError, ClientOptions, Token, Trust};
use tidegate::{Client, Config, Hub};
use tokio::process::Command;

use super::Misconfigured;
use super::api::ApiClient;
use super::environment::{self, NotText, Reader, variable};
use super::say::say;

/// The default address of a server on this machine.
const SERVER: &str = "http://127.0.0.1:8420";

/// The server to talk to, or the backend.
#[derive(Args)]
pub(super) struct PlaceArg {
    /// The server's address, also unix:/path/to/socket [env: TIDEGATE_SERVER=] [default: http://127.0.0.1:8420]. If it
    /// requires a token, set TIDEGATE_TOKEN
    #[arg(long, value_name = "URL", conflicts_with = "backend")]
    server: Option<String>,
    /// A shell command that prints a token, for a server that requires one: it runs for each connection, and again
    /// before the token expires
    #[arg(long, value_name = "COMMAND", conflicts_with = "backend")]
    token_command: Option<String>,
    #[command(flatten)]
    backend: BackendArg,
    #[command(flatten)]
    trust: TrustArg,
}

/// Whom to believe that it is the server.
#[derive(Args, Clone, Debug)]
pub(super) struct TrustArg {
    /// The certificate authorities to trust for https:// servers instead of the system's (PEM) [env: TIDEGATE_CA=]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// A backend. Its address may hold a password, so that nothing here shows it, and the parser of the command line, which
/// would, never finds it wrong.
#[derive(Args, Clone)]
pub(super) struct BackendArg {
    /// Where topics live: memory, sqlite:PATH, postgres://…, redis://…, rediss://… or auto
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
}

impl PlaceArg {
    /// A connected client.
    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        if self.backend.is_named() {
            return self.open_backend().await;
        }
        Ok(Client::connect_with(&server_url(self.server.as_deref())?, self.options()?).await?)
    }

    /// A client of a server that may not be running yet, or of a backend, which has to be.
    pub(super) async fn start(&self) -> anyhow::Result<Client> {
        if self.backend.is_named() {
            return self.open_backend().await;
        }
        Ok(Client::start_with(
            &server_url(self.server.as_deref())?,
            self.options()?,
        )?)
    }

    /// A client of a server's endpoints; `None` if a backend is named.
    pub(super) fn api(&self) -> anyhow::Result<Option<ApiClient>> {
        if self.backend.is_named() {
            return Ok(None);
        }
        let options = ClientOptions {
            trust: self.trust.trust()?,
            ..ClientOptions::default()
        };
        let server = server_url(self.server.as_deref())?;
        ApiClient::new(&server, options, self.token_command.clone()).map(Some)
    }

    /// A hub of this program's own, at the named backend.
    pub(super) async fn open_hub(&self) -> anyhow::Result<Hub> {
        let config = Config {
            shares_presence: false,
            ..Config::default()
        };
        Ok(Hub::with_choice(config, &self.choose_backend().await?)?)
    }

    async fn open_backend(&self) -> anyhow::Result<Client> {
        Ok(Client::with_choice(&self.choose_backend().await?)?)
    }

    async fn choose_backend(&self) -> anyhow::Result<Choice> {
        let address = self.backend.address()?;
        if address == Some(Address::Memory) {
            return Err(Misconfigured::because(anyhow!(
                "topics in memory belong to one process; name another backend, or a server"
            )));
        }
        let choice = self.backend.choose(&Keep::as_servers_say()).await?;
        if address == Some(Address::Auto) {
            say(format_args!("backend: {} ({})", choice.what, choice.why));
        }
        Ok(choice)
    }

    fn options(&self) -> anyhow::Result<ClientOptions> {
        Ok(ClientOptions {
            token: token(self.token_command.clone())?,
            trust: self.trust.trust()?,
            ..ClientOptions::default()
        })
    }
}

impl TrustArg {
    /// The authorities that the command line names, or else the environment, or else the system's.
    ///
    /// # Errors
    /// If the file can't be used.
    pub(super) fn trust(&self) -> Result<Trust, ClientError> {
        match self.ca.clone().or_else(|| environment::file("TIDEGATE_CA")) {
            Some(file) => Ok(Trust::from_pem_file(file)?),
            None => Ok(Trust::default()),
        }
    }
}

impl fmt::Debug for BackendArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.backend.as_deref().map(shown_address);
        f.debug_tuple("BackendArg").field(&shown).finish()
    }
}

impl BackendArg {
    pub(super) const fn is_named(&self) -> bool {
        self.backend.is_some()
    }

    /// The address that the command line names, if any.
    pub(super) fn address(&self) -> Result<Option<Address>, WrongAddress> {
        let named = self.backend.as_deref();
        let address = named.map(Address::from_str).transpose();
        address.map_err(WrongAddress)
    }

    /// The backend that the command line names, or else the environment, and that can be reached.
    pub(super) async fn choose(&self, keep: &Keep) -> anyhow::Result<Choice> {
        let variables = Reader::default();
        let choice = choose(self.address()?, |name| variables.read(name), keep).await;
        variables.end()?;
        Ok(choice?)
    }

    /// Like [`Self::choose`], but adds nothing to the backend.
    pub(super) async fn survey(&self, keep: &Keep) -> anyhow::Result<Choice> {
        let variables = Reader::default();
        let choice = survey(self.address()?, |name| variables.read(name), keep).await;
        variables.end()?;
        Ok(choice?)
    }
}

/// The token for a server that requires one. There is no flag for it, because other users of a machine can see the
/// command line.
fn token(command: Option<String>) -> Result<Token, NotText> {
    if let Some(command) = command {
        return Ok(Token::ask(move || print_token(command.clone())));
    }
    Ok(fixed_token()?.map(Token::from).unwrap_or_default())
}

/// The token in the environment.
pub(super) fn fixed_token() -> Result<Option<String>, NotText> {
    variable("TIDEGATE_TOKEN")
}

/// The address of the server that the command line names, or else the environment, or else of this machine's.
pub(super) fn server_url(named: Option<&str>) -> Result<String, NotText> {
    let url = match named {
        Some(url) => Some(url.to_owned()),
        None => variable("TIDEGATE_SERVER")?,
    };
    Ok(url.unwrap_or_else(|| SERVER.to_owned()))
}

/// Returns what a command prints, without the white space around it.
pub(super) async fn print_token(command: String) -> anyhow::Result<String> {
    let mut running = shell(&command);
    running.stdin(Stdio::null()).kill_on_drop(true);
    let output = running.output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last_line = said.trim_end().lines().last().unwrap_or_default();
    anyhow::ensure!(
        output.status.success(),
        "--token-command ended with {}: {last_line}",
        output.status
    );
    let token = String::from_utf8(output.stdout).unwrap_or_default();
    let token = token.trim();
    anyhow::ensure!(!token.is_empty(), "--token-command printed nothing");
    Ok(token.to_owned())
}

/// A shell that runs a command as the user would type it.
#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
}

/// A shell that runs a command as the user would type it: `cmd` takes what is between the outer quotes as it is.
#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell
        .args(["/D", "/S", "/C"])
        .raw_arg(format!("\"{command}\""));
    shell
}

/// Whether a text is a backend's address.
///
/// # Errors
/// If it is not: why, without its password.
pub(super) fn check_address(text: &str) -> Result<(), String> {
    let parsed = Address::from_str(text);
    parsed.map(|_| ()).map_err(|error| error.to_string())
}

/// An address without its password.
pub(super) fn shown_address(text: &str) -> String {
    Address::from_str(text).map_or_else(|_| "…".to_owned(), |address| address.to_string())
}

/// The value of `--backend` is not a backend's address.
#[derive(Debug)]
pub(super) struct WrongAddress(BackendError);

impl fmt::Display for WrongAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--backend: {}", self.0)
    }
}

impl std::error::Error for WrongAddress {}
