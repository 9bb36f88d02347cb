//! `tidegate get`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use axum::http::StatusCode;
use clap::Args;
use serde::Deserialize;
use tidegate::core::protocol::{ServerEnvelope, ServerFrame};
use tidegate::core::topic::{Pattern, Topic};
use tidegate::{Event, Hub, Json, Publication};

use super::api::ApiClient;
use super::say::say;
use super::subscribe::lines::{self, Form};

/// How long a server's answer may take: the server may wait for its backend.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer. A single publication may take most of them.
const BYTES_MAX: usize = 256 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  tidegate get job:42
  tidegate get 'job:*' 'task:*'
  tidegate get job:42 --json | jq .data.progress

The exit status is 1 if nothing is published to any of them.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Get {
    /// Topics, or patterns: * matches one segment, and ** at the end matches one or more.
    #[arg(required = true, num_args = 1..=100, value_name = "PATTERN")]
    patterns: Vec<Pattern>,
    /// Print each publication as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: super::PlaceArg,
}

/// A part of a server's answer.
#[derive(Deserialize)]
struct Part {
    more: bool,
    publications: Vec<ServerEnvelope<Json>>,
}

/// The server's answer if it refuses.
#[derive(Deserialize)]
struct Refused {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Get {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let form = if self.json {
            Form::Json
        } else {
            Form::for_people()
        };
        let has_any = match self.place.api()? {
            Some(api) => self.get_from_server(api, form).await?,
            None => self.get_from_backend(form).await?,
        };
        if has_any {
            return Ok(ExitCode::SUCCESS);
        }
        let names: Vec<&str> = self.patterns.iter().map(Pattern::as_str).collect();
        say(format_args!("nothing is published to {}", names.join(" ")));
        Ok(ExitCode::FAILURE)
    }

    async fn get_from_backend(&self, form: Form) -> anyhow::Result<bool> {
        let hub = self.place.open_hub().await?;
        let got = self.look_up(&hub).await;
        hub.stop();
        hub.stopped().await;
        let publications = got?;
        publications
            .values()
            .try_for_each(|publication| print(publication, form))?;
        Ok(!publications.is_empty())
    }

    async fn look_up(&self, hub: &Hub) -> anyhow::Result<BTreeMap<Topic, Publication>> {
        let mut by_topic = BTreeMap::new();
        for pattern in &self.patterns {
            for publication in hub.latest_matching(pattern.as_str()).await? {
                by_topic.insert(publication.topic.clone(), publication);
            }
        }
        Ok(by_topic)
    }

    async fn get_from_server(&self, mut api: ApiClient, form: Form) -> anyhow::Result<bool> {
        let topics = self.patterns.iter();
        let topics = topics.map(|pattern| format!("topic={}", escaped(pattern.as_str())));
        let topics = topics.collect::<Vec<_>>().join("&");
        let mut last: Option<Topic> = None;
        loop {
            let after = last.as_ref().map(|topic| escaped(topic.as_str()));
            let after = after.map_or_else(String::new, |topic| format!("&after={topic}"));
            let path = format!("/latest?{topics}{after}");
            let answer = tokio::time::timeout(PATIENCE, api.get(&path, BYTES_MAX)).await;
            let (status, body) =
                answer.map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))??;
            if status != StatusCode::OK {
                match serde_json::from_slice(&body) {
                    Ok(Refused { error }) => bail!("{}", error.message),
                    Err(_) => bail!("the server answers {status}"),
                }
            }
            let part: Part = serde_json::from_slice(&body)?;
            for envelope in part.publications {
                if let ServerFrame::Publication { publication, .. } = envelope.try_into()? {
                    print(&publication, form)?;
                    last = Some(publication.topic.clone());
                }
            }
            if !part.more {
                return Ok(last.is_some());
            }
        }
    }
}

fn print(publication: &Publication, form: Form) -> std::io::Result<()> {
    let event = Event::Publication(Publication::clone(publication));
    lines::print(&event, publication.topic.as_str(), form)
}

/// Escapes a text for the value of a query parameter.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'*' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}
