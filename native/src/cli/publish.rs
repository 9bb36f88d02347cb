//! `tidegate pub`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use serde::Deserialize;
use serde_json::json;
use tidegate::client::ClientError;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::publication::Position;
use tidegate::{Client, Json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How many publications from standard input are on their way at once.
const IN_FLIGHT_MAX: usize = 256;

const EXAMPLES: &str = "\
Examples:
  tidegate pub job:42 '{\"progress\": 0.5}'
  tidegate pub job:42 '{\"progress\": 1}' --end complete
  make-progress | tidegate pub job:42        one JSON value a line
  make-events | tidegate pub                 lines such as {\"topic\": \"job:42\", \"data\": {…}}";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Publish {
    /// The topic, such as job:42. Without it, each line of standard input names its own.
    topic: Option<String>,
    /// The value. Without it, or as -, one JSON value a line is read from standard input.
    json: Option<String>,
    /// Make it the topic's last publication: complete, failed or cancelled. From standard input, the last line's.
    #[arg(long, value_name = "REASON")]
    end: Option<EndReason>,
    /// Idempotency key: repeating the command with the same key publishes once.
    #[arg(long, value_name = "KEY")]
    id: Option<String>,
    /// Start the topic anew if it has ended.
    #[arg(long)]
    restart: bool,
    /// Print where each publication stands, as JSON.
    #[arg(long = "json")]
    prints_json: bool,
    #[command(flatten)]
    server: super::ServerArg,
}

/// A line of standard input that names its topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    data: Json,
    end: Option<EndReason>,
    id: Option<String>,
    #[serde(default)]
    restart: bool,
}

impl Publish {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.json.as_deref() {
            Some(text) if text != "-" => {
                let payload = Json::from_text(text).with_context(|| {
                    format!("the value {text:?} (a string needs quotes: '\"done\"')")
                })?;
                let client = Client::connect(&self.server.server).await?;
                let line = self.line(payload, self.end)?;
                let topic = line.topic.clone();
                let position = publish(&client, line).await?;
                self.print(&topic, position);
                Ok(ExitCode::SUCCESS)
            }
            Some(_) | None => self.publish_lines().await,
        }
    }

    fn line(&self, data: Json, end: Option<EndReason>) -> anyhow::Result<Line> {
        let Some(topic) = self.topic.clone() else {
            bail!("name a topic: tidegate pub TOPIC JSON");
        };
        Ok(Line {
            topic,
            data,
            end,
            id: self.id.clone(),
            restart: self.restart,
        })
    }

    /// Publishes what comes, in order, without waiting for each answer.
    async fn publish_lines(&self) -> anyhow::Result<ExitCode> {
        if self.id.is_some() {
            bail!("--id names one publication; give lines of standard input an \"id\" each");
        }
        let client = Client::connect(&self.server.server).await?;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut answers = FuturesOrdered::new();
        let mut number = 0_u64;
        let mut is_first = true;
        let mut next = lines.next_line().await.context("standard input")?;
        while let Some(text) = next {
            next = lines.next_line().await.context("standard input")?;
            number += 1;
            if text.trim().is_empty() {
                continue;
            }
            let mut line = self
                .parse(&text, next.is_none())
                .with_context(|| format!("line {number}"))?;
            line.restart &= is_first || self.topic.is_none();
            is_first = false;
            let topic = line.topic.clone();
            let client = client.clone();
            let answer = tokio::spawn(async move { publish(&client, line).await });
            answers.push_back(async move { (number, topic, answer.await) });
            if answers.len() >= IN_FLIGHT_MAX {
                self.take_answer(&mut answers).await?;
            }
        }
        while !answers.is_empty() {
            self.take_answer(&mut answers).await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn parse(&self, text: &str, is_last: bool) -> anyhow::Result<Line> {
        if self.topic.is_some() {
            let end = self.end.filter(|_| is_last);
            return self.line(Json::from_text(text)?, end);
        }
        serde_json::from_str(text).context(
            r#"expected {"topic": "job:42", "data": …}, or name a topic on the command line"#,
        )
    }

    async fn take_answer<F>(&self, answers: &mut FuturesOrdered<F>) -> anyhow::Result<()>
    where
        F: Future<
            Output = (
                u64,
                String,
                Result<Result<Position, ClientError>, tokio::task::JoinError>,
            ),
        >,
    {
        if let Some((number, topic, answer)) = answers.next().await {
            let position = answer?.with_context(|| format!("line {number}"))?;
            self.print(&topic, position);
        }
        Ok(())
    }

    fn print(&self, topic: &str, position: Position) {
        if self.prints_json {
            println!(
                "{}",
                json!({"topic": topic, "epoch": position.epoch, "offset": position.offset})
            );
        }
    }
}

async fn publish(client: &Client, line: Line) -> Result<Position, ClientError> {
    let options = tidegate::Publish {
        end: line.end,
        id: line.id,
        restart: line.restart,
    };
    client.publish_with(&line.topic, &line.data, options).await
}
