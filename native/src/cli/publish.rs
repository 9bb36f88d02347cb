//! `tidegate pub`.

mod input;
mod pace;
mod positions;

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use input::{Input, InputLine};
use pace::Pace;
use positions::Positions;
use serde::Deserialize;
use tidegate::client::{Answer, ClientError};
use tidegate::core::lifecycle::StatedEnd;
use tidegate::core::publication::Position;
use tidegate::core::topic::Topic;
use tidegate::{Client, Json};

use super::Misconfigured;

const EXAMPLES: &str = "\
Examples:
  tidegate pub job:42 '{\"progress\": 0.5}'
  tidegate pub job:42 '{\"progress\": 1}' --end complete
  make-progress | tidegate pub job:42        one JSON value per line
  make-events | tidegate pub                 lines such as {\"topic\": \"job:42\", \"data\": {…}}

With standard input, the first line that is wrong or refused ends the reading. It is named, and the exit status
is 1; all lines before it are published. Where the server limits how often one may publish (--publish-rate), lines
wait for that.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Publish {
    /// The topic, such as job:42. Without it, each line of standard input must name its topic.
    topic: Option<Topic>,
    /// The value. If it is missing or -, one JSON value per line is read from standard input.
    #[arg(allow_hyphen_values = true)]
    json: Option<String>,
    /// End the topic with this publication, as complete, failed or cancelled; or none, to keep it open even if the value
    /// has a status of COMPLETE, FAILED or CANCELLED. With standard input, the end applies to the last line, so each
    /// line is sent once the next one has been read.
    #[arg(long, value_name = "REASON")]
    end: Option<StatedEnd>,
    /// Idempotency key: repeating the command with the same key publishes once.
    #[arg(long, value_name = "KEY")]
    id: Option<String>,
    /// Restart the topic if it has ended.
    #[arg(long)]
    restart: bool,
    /// Print the position of each publication, as JSON.
    #[arg(long = "json")]
    prints_json: bool,
    #[command(flatten)]
    place: super::PlaceArg,
}

/// A line of standard input that names its topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    data: Json,
    end: Option<StatedEnd>,
    id: Option<String>,
    #[serde(default)]
    restart: bool,
}

/// A line's number, its topic, and the outcome.
type Answered = (u64, String, Result<Position, ClientError>);

impl Publish {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.json.as_deref() {
            Some(text) if text != "-" => {
                let payload = Json::from_text(text)
                    .with_context(|| match text.starts_with('-') {
                        true => format!("{text} is neither an option nor a value"),
                        false => format!("the value {text:?} (a string needs quotes: '\"done\"')"),
                    })
                    .map_err(Misconfigured::because)?;
                let client = self.place.connect().await?;
                let line = self.line(payload, self.end)?;
                let topic = line.topic.clone();
                let position = enqueue(&client, line)?.await?;
                client.close_flushed().await?;
                let mut positions = Positions::new(self.prints_json);
                positions.print(&topic, position);
                positions.end()?;
                Ok(ExitCode::SUCCESS)
            }
            Some(_) | None => self.publish_lines().await,
        }
    }

    fn line(&self, data: Json, end: Option<StatedEnd>) -> anyhow::Result<Line> {
        let Some(topic) = self.topic.as_ref().map(ToString::to_string) else {
            return Err(Misconfigured::because(anyhow!(
                "name a topic: tidegate pub TOPIC JSON"
            )));
        };
        Ok(Line {
            topic,
            data,
            end,
            id: self.id.clone(),
            restart: self.restart,
        })
    }

    /// Publishes lines in order and as they come, without waiting for each answer.
    async fn publish_lines(&self) -> anyhow::Result<ExitCode> {
        if self.id.is_some() {
            return Err(Misconfigured::because(anyhow!(
                "--id names one publication; give lines of standard input an \"id\" each"
            )));
        }
        if self.topic.is_none() && (self.end.is_some() || self.restart) {
            return Err(Misconfigured::because(anyhow!(
                "--end and --restart need a topic; give lines of standard input their own"
            )));
        }
        let client = self.place.connect().await?;
        let has_end = self.end.is_some_and(|end| end.reason().is_some());
        let mut input = Input::new(has_end);
        let mut pace = Pace::new(&client);
        let mut answers = FuturesOrdered::new();
        let mut is_first = true;
        let mut is_over = false;
        let mut positions = Positions::new(self.prints_json);
        // Whatever goes wrong, wait for the answers to what was sent: it may be published, and its position has to be
        // printed.
        let mut unsent = None;
        let mut refused = None;
        while !is_over || !answers.is_empty() {
            tokio::select! {
                text = next_line(&mut input, &pace), if !is_over && answers.len() < pace.in_flight_max() => {
                    pace.count();
                    match text.and_then(|text| self.send(&client, text, &mut is_first)) {
                        Ok(Some(answer)) => answers.push_back(answer),
                        Ok(None) => is_over = true,
                        Err(error) => {
                            is_over = true;
                            unsent = Some(error);
                        }
                    }
                }
                Some((number, topic, answer)) = answers.next(), if !answers.is_empty() => match answer {
                    Ok(position) => positions.print(&topic, position),
                    Err(error) => {
                        is_over = true;
                        let error = anyhow::Error::from(error).context(format!("line {number}"));
                        refused.get_or_insert(error);
                    }
                },
            }
        }
        client.close_flushed().await?;
        // Lines are answered in order, and those that were not sent come after them.
        if let Some(error) = refused.or(unsent) {
            return Err(error);
        }
        positions.end()?;
        Ok(ExitCode::SUCCESS)
    }

    /// Sends a line of standard input, unless the input has ended.
    fn send(
        &self,
        client: &Client,
        text: Option<InputLine>,
        is_first: &mut bool,
    ) -> anyhow::Result<Option<impl Future<Output = Answered> + use<>>> {
        let Some(text) = text else {
            return Ok(None);
        };
        let number = text.number;
        let mut line = self
            .parse(&text)
            .with_context(|| format!("line {number}"))?;
        line.restart &= *is_first || self.topic.is_none();
        *is_first = false;
        let topic = line.topic.clone();
        let answer = enqueue(client, line).with_context(|| format!("line {number}"))?;
        Ok(Some(async move { (number, topic, answer.await) }))
    }

    fn parse(&self, line: &InputLine) -> anyhow::Result<Line> {
        if self.topic.is_some() {
            let end = self
                .end
                .filter(|end| line.is_last || end.reason().is_none());
            return self.line(Json::from_text(line.text.as_str())?, end);
        }
        serde_json::from_str(&line.text).context(
            r#"expected {"topic": "job:42", "data": …}, or name a topic on the command line"#,
        )
    }
}

/// The next line, once it may be published. Cancel-safe.
async fn next_line(input: &mut Input, pace: &Pace) -> anyhow::Result<Option<InputLine>> {
    pace.ready().await;
    input.next().await
}

fn enqueue(client: &Client, line: Line) -> Result<Answer, ClientError> {
    let options = tidegate::Publish {
        end: line.end,
        id: line.id,
        restart: line.restart,
    };
    client.enqueue(&line.topic, &line.data, options)
}
