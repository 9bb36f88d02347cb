//! Choosing a backend: by the command line, by the environment, and by what can be reached.

mod address;
mod make;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Backend, BackendError, Feed, Keep};

pub use address::{Address, ServerUrl};

/// How long a server may take to answer when it is chosen.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3);

/// How long opening a file may take. If creating its tables takes long, the disk is busy, and there is nothing else to try.
const FILE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long closing may take after that.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The backend that was chosen, and why. No text contains a password.
#[derive(Clone)]
pub struct Choice {
    /// The backend, which the hub that gets it opens. `None` if topics live in this process only.
    pub backend: Option<Arc<dyn Backend>>,
    /// The name and place of the backend.
    pub what: String,
    /// Why it was chosen, and which others were tried before and why they were not.
    pub why: String,
}

/// Chooses a backend.
///
/// `address`, from the command line, comes first, then `TIDEGATE_BACKEND`, then `PUBSUB_BACKEND`. A backend that is
/// named this way must be reachable. If none is named, or `auto`, this takes the first that answers within 3 s: the
/// Redis of `REDIS_URL` (or `REDIS_HOST`, with `REDIS_PORT` and `REDIS_PASSWORD`), the database of `DATABASE_URL`, and
/// finally an SQLite file: `TIDEGATE_SQLITE`, or `tidegate/tidegate.db` in `XDG_STATE_HOME`, `LOCALAPPDATA` (which Windows
/// sets) or `~/.local/state`.
///
/// `environment` returns the value of a variable: `|name| std::env::var(name).ok()`. An empty one counts as not set.
///
/// # Errors
/// If something was named that is not a backend or can't be reached, or if not even the SQLite file can be used.
pub async fn choose(
    address: Option<Address>,
    environment: impl Fn(&str) -> Option<String> + Send + Sync,
    keep: &Keep,
) -> Result<Choice, BackendError> {
    let choosing = Choosing {
        environment: &|name| environment(name).filter(|value| !value.is_empty()),
        keep,
        may_change: true,
    };
    choosing.start(address).await
}

/// Like [`choose`], but adds nothing to a database or file: to find out what the backend that would be chosen
/// [lacks](Backend::migration).
///
/// # Errors
/// As for [`choose`].
pub async fn survey(
    address: Option<Address>,
    environment: impl Fn(&str) -> Option<String> + Send + Sync,
    keep: &Keep,
) -> Result<Choice, BackendError> {
    let choosing = Choosing {
        environment: &|name| environment(name).filter(|value| !value.is_empty()),
        keep,
        may_change: false,
    };
    choosing.start(address).await
}

struct Choosing<'a> {
    environment: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    keep: &'a Keep,
    /// Whether opening a backend may add what it lacks.
    may_change: bool,
}

/// The place of a backend that can be probed.
enum ProbedBackend {
    Sqlite(PathBuf),
    Postgres(ServerUrl),
    Redis(ServerUrl),
}

/// What was found in the environment, and in which variable.
type Found<T> = (T, &'static str);

impl Choosing<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// Chooses by `address`, or by what the environment names.
    async fn start(&self, address: Option<Address>) -> Result<Choice, BackendError> {
        let (address, reason) = match address {
            Some(address) => (address, "it was asked for".to_owned()),
            None => self.named_address()?,
        };
        self.choose(address, reason).await
    }

    /// The address that the environment names, and which variable names it.
    fn named_address(&self) -> Result<(Address, String), BackendError> {
        for name in ["TIDEGATE_BACKEND", "PUBSUB_BACKEND"] {
            if let Some(text) = self.variable(name) {
                let address = parse(name, &text)?;
                let reason = format!("{name} is {address}");
                return Ok((address, reason));
            }
        }
        Ok((Address::Auto, "no backend is named".to_owned()))
    }

    /// Chooses the backend that was named, which must answer, or else the first that does.
    async fn choose(&self, address: Address, mut reason: String) -> Result<Choice, BackendError> {
        let missing = |word: &str, reason: &str| Err(not(word, "", reason));
        let (place, source) = match address {
            Address::Auto => return self.first_reachable(&reason).await,
            Address::Memory => return Ok(in_memory(reason)),
            Address::Redis(None) => match self.redis()? {
                Some((url, source)) => (ProbedBackend::Redis(url), Some(source)),
                None => return missing("redis", "set REDIS_URL, or REDIS_HOST, to where it is"),
            },
            Address::Postgres(None) => match self.database()? {
                Some((place @ ProbedBackend::Postgres(_), source)) => (place, Some(source)),
                Some(_) | None => {
                    return missing("postgres", "set DATABASE_URL to where it is: postgres://…");
                }
            },
            Address::Sqlite(None) => (ProbedBackend::Sqlite(self.default_file()?), None),
            Address::Redis(Some(url)) => (ProbedBackend::Redis(url), None),
            Address::Postgres(Some(url)) => (ProbedBackend::Postgres(url), None),
            Address::Sqlite(Some(path)) => (ProbedBackend::Sqlite(path), None),
        };
        if let Some(source) = source {
            reason = format!("{reason}, and {source} says where");
        }
        let reached = self.reached(&place).await;
        let backend = reached.map_err(|error| away(error, &place, &reason))?;
        Ok(log_choice(backend, reason, &[]))
    }

    /// Chooses the first backend that answers.
    async fn first_reachable(&self, reason: &str) -> Result<Choice, BackendError> {
        let mut tried = Vec::new();
        let redis = self.redis();
        let redis =
            redis.map(|found| found.map(|(url, source)| (ProbedBackend::Redis(url), source)));
        for found in [redis, self.database()] {
            let (place, source) = match found {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    tried.push(error.to_string());
                    continue;
                }
            };
            match self.reached(&place).await {
                Ok(backend) => {
                    return Ok(log_choice(
                        backend,
                        format!("{reason}, {source} is set and it answers"),
                        &tried,
                    ));
                }
                Err(error) => tried.push(format!("{source} is set, but {error}")),
            }
        }
        let file = self.default_file();
        let file = ProbedBackend::Sqlite(file.map_err(|error| unusable(&error, &tried))?);
        let backend = self
            .reached(&file)
            .await
            .map_err(|error| unusable(&error, &tried))?;
        let reason = format!("{reason}, and no other one is set or can be reached");
        Ok(log_choice(backend, reason, &tried))
    }

    /// The backend at a place, which has answered.
    async fn reached(&self, place: &ProbedBackend) -> Result<Arc<dyn Backend>, BackendError> {
        let backend = match place {
            ProbedBackend::Sqlite(path) => make::sqlite(path, self.keep),
            ProbedBackend::Postgres(url) => make::postgres(url, self.keep),
            ProbedBackend::Redis(url) => make::redis(url, self.keep),
        }?;
        if self.may_change || backend.migration().await?.is_none() {
            let within = match place {
                ProbedBackend::Sqlite(_) => FILE_TIMEOUT,
                ProbedBackend::Postgres(_) | ProbedBackend::Redis(_) => SERVER_TIMEOUT,
            };
            reach(&*backend, within).await?;
        }
        Ok(backend)
    }

    /// The Redis that the environment names.
    fn redis(&self) -> Result<Option<Found<ServerUrl>>, BackendError> {
        if let Some(url) = self.variable("REDIS_URL") {
            return match parse("REDIS_URL", &url)? {
                Address::Redis(Some(url)) => Ok(Some((url, "REDIS_URL"))),
                _ => Err(not("REDIS_URL", &url, "expected redis://… or rediss://…")),
            };
        }
        let Some(host) = self.variable("REDIS_HOST") else {
            return Ok(None);
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host
        };
        let port = self
            .variable("REDIS_PORT")
            .unwrap_or_else(|| "6379".to_owned());
        if port.parse::<u16>().is_err() {
            return Err(not("REDIS_PORT", "…", "a port is a number up to 65535"));
        }
        let password = self
            .variable("REDIS_PASSWORD")
            .map_or_else(String::new, |password| {
                format!(":{}@", percent_encoded(&password))
            });
        let url = ServerUrl::new(format!("redis://{password}{host}:{port}/0"));
        Ok(Some((url, "REDIS_HOST")))
    }

    /// The database that the environment names, if it is of a supported kind.
    fn database(&self) -> Result<Option<Found<ProbedBackend>>, BackendError> {
        let Some(url) = self.variable("DATABASE_URL") else {
            return Ok(None);
        };
        match parse("DATABASE_URL", &url)? {
            Address::Postgres(Some(url)) => {
                Ok(Some((ProbedBackend::Postgres(url), "DATABASE_URL")))
            }
            Address::Sqlite(Some(path)) => Ok(Some((ProbedBackend::Sqlite(path), "DATABASE_URL"))),
            _ => Err(not(
                "DATABASE_URL",
                &url,
                "expected postgres://… or sqlite:PATH",
            )),
        }
    }

    /// The file for topics if nothing else is named. Its directory is created.
    fn default_file(&self) -> Result<PathBuf, BackendError> {
        if let Some(path) = self.variable("TIDEGATE_SQLITE") {
            return match path.parse() {
                Ok(Address::Sqlite(Some(path))) => Ok(path),
                _ => Ok(path.into()),
            };
        }
        // Before `HOME`: only some shells of Windows set that, and all of them have to find the same file.
        let on_windows = || self.variable("LOCALAPPDATA").map(PathBuf::from);
        let in_home = || Some(PathBuf::from(self.variable("HOME")?).join(".local/state"));
        let state = self
            .variable("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(on_windows)
            .or_else(in_home);
        let Some(directory) = state.map(|state| state.join("tidegate")) else {
            return Err(not(
                "sqlite",
                "",
                "neither TIDEGATE_SQLITE, XDG_STATE_HOME, LOCALAPPDATA nor HOME says where its file is; set TIDEGATE_SQLITE to a path",
            ));
        };
        let file = directory.join("tidegate.db");
        std::fs::create_dir_all(&directory).map_err(|error| BackendError::Unreachable {
            backend: format!("sqlite file {}", file.display()),
            reason: format!("its directory can't be made: {error}; set TIDEGATE_SQLITE to a path"),
        })?;
        Ok(file)
    }
}

const ELSEWHERE: &str = "set TIDEGATE_SQLITE to a path that can be written, or TIDEGATE_BACKEND to another backend (memory for none)";

/// Opens a backend, probes it, and closes it again.
async fn reach(backend: &dyn Backend, within: Duration) -> Result<(), BackendError> {
    let asked = async {
        backend.open(Feed::new(|_| {})).await?;
        backend.probe().await
    };
    let reached = tokio::time::timeout(within, asked).await;
    // A backend that can't be closed in time ends with its last owner.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, backend.close()).await;
    reached.unwrap_or_else(|_| {
        Err(BackendError::Unreachable {
            backend: backend.describe(),
            reason: format!("it did not answer within {within:?}"),
        })
    })
}

/// The error of a server that was named and doesn't answer, with what to do about it. Those of files say that already.
fn away(error: BackendError, place: &ProbedBackend, named: &str) -> BackendError {
    match (error, place) {
        (
            BackendError::Unreachable { backend, reason },
            ProbedBackend::Postgres(_) | ProbedBackend::Redis(_),
        ) => BackendError::Unreachable {
            backend,
            reason: format!("{reason}; start it, or name another backend ({named})"),
        },
        (error, _) => error,
    }
}

fn in_memory(why: String) -> Choice {
    Choice {
        backend: None,
        what: "memory".to_owned(),
        why,
    }
}

fn chosen(backend: Arc<dyn Backend>, why: String) -> Choice {
    Choice {
        what: backend.describe(),
        backend: Some(backend),
        why,
    }
}

/// The choice of this backend, logged as a warning if ones that the environment names had to be passed over.
fn log_choice(backend: Arc<dyn Backend>, reason: String, tried: &[String]) -> Choice {
    if tried.is_empty() {
        let choice = chosen(backend, reason);
        tracing::info!("backend: {} ({})", choice.what, choice.why);
        return choice;
    }
    let choice = chosen(backend, format!("{reason}; {}", tried.join("; ")));
    tracing::warn!(
        "backend: {} instead of what was named ({})",
        choice.what,
        choice.why
    );
    choice
}

fn unusable(error: &BackendError, tried: &[String]) -> BackendError {
    let before: String = tried.iter().map(|tried| format!("; {tried}")).collect();
    BackendError::Unreachable {
        backend: "the default backend".to_owned(),
        reason: format!("{error}; {ELSEWHERE}{before}"),
    }
}

fn parse(variable: &str, text: &str) -> Result<Address, BackendError> {
    text.parse().map_err(|error| match error {
        BackendError::Address { address, reason } => BackendError::Address {
            address: format!("{variable}={address}"),
            reason,
        },
        other => other,
    })
}

fn not(variable: &str, text: &str, reason: &str) -> BackendError {
    let address = if text.is_empty() {
        variable.to_owned()
    } else {
        format!("{variable}={}", address::shown(text))
    };
    BackendError::Address {
        address,
        reason: reason.to_owned(),
    }
}

/// Percent-encodes everything that can't stand in an address as it is.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes everything");
        }
    }
    encoded
}

#[cfg(all(test, feature = "postgres", feature = "redis", feature = "sqlite"))]
mod tests;
