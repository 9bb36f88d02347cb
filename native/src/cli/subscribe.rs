//! `tidegate sub`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::client::ClientSubscription;
use tidegate::core::flow::Flow;
use tidegate::core::protocol::{FlowSpec, Start};
use tidegate::duration::parse_duration_ms;
use tidegate::{Event, Publication};

const EXAMPLES: &str = "\
Examples:
  tidegate sub job:42
  tidegate sub 'job:*' --throttle 1s
  tidegate sub job:42 --json | jq .data.progress";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Subscribe {
    /// A topic, or a pattern: * stands for one segment, a last ** for one or more.
    pattern: String,
    /// At most one publication of a topic per this time, the latest.
    #[arg(long, value_name = "TIME", value_parser = milliseconds, conflicts_with = "debounce")]
    throttle: Option<u64>,
    /// A topic's latest publication once none has come for this time.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    debounce: Option<u64>,
    /// The longest that --debounce puts a publication off.
    #[arg(long, value_name = "TIME", value_parser = milliseconds, requires = "debounce")]
    max_wait: Option<u64>,
    /// What becomes of publications that wait.
    #[arg(long, value_enum)]
    conflate: Option<Conflate>,
    /// Have what has changed sent in place of whole values, where that is shorter. What is printed is whole.
    #[arg(long)]
    delta: bool,
    /// Don't print retained values first.
    #[arg(long)]
    new: bool,
    /// Stop after this many publications.
    #[arg(long, short = 'n', value_name = "COUNT")]
    count: Option<u64>,
    /// Print each event as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: super::PlaceArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Conflate {
    /// The newest replaces the older ones.
    Latest,
    /// Each is merged over the older ones (RFC 7396).
    Merge,
    /// Numbers add up, field by field.
    Sum,
    /// All of them, in order.
    Collect,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    parse_duration_ms(text).ok_or_else(|| "write a time such as 250ms, 1s or 2m".to_owned())
}

impl Subscribe {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let options = tidegate::Subscribe {
            flow: self.flow()?,
            start: if self.new { Start::New } else { Start::Latest },
            ..tidegate::Subscribe::default()
        };
        let client = self.place.connect().await?;
        let events = client.subscribe_with(&self.pattern, options).await?;
        let heard = self.hear(events).await;
        client.close_flushed().await?;
        heard
    }

    /// Prints events until it is enough.
    async fn hear(&self, mut events: ClientSubscription) -> anyhow::Result<ExitCode> {
        let mut left = self.count;
        while let Some(event) = events.next().await {
            let publications: &[Publication] = match &event {
                Event::Publication(publication) => std::slice::from_ref(publication),
                Event::Batch(publications) => publications,
                Event::Reset { .. } | Event::Lagged { .. } | Event::Stale | Event::Live => &[],
                Event::End { reason } => {
                    self.print(&event)?;
                    return Ok(super::exit_code(*reason));
                }
                Event::Refused(error) => bail!("{}: {error}", self.pattern),
            };
            self.print(&event)?;
            if let Some(left) = &mut left {
                *left = left.saturating_sub(publications.len() as u64);
                if *left == 0 {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        bail!("the connection was closed");
    }

    fn flow(&self) -> anyhow::Result<Flow> {
        let conflate = self.conflate.map(|conflate| match conflate {
            Conflate::Latest => "latest",
            Conflate::Merge => "merge",
            Conflate::Sum => "sum",
            Conflate::Collect => "collect",
        });
        let spec = FlowSpec {
            throttle_ms: self.throttle,
            debounce_ms: self.debounce,
            max_wait_ms: self.max_wait,
            conflate: conflate
                .map(|name| serde_json::from_value(name.into()))
                .transpose()?,
            delta: Some(self.delta),
            ..FlowSpec::default()
        };
        Ok(Flow::try_from(spec)?)
    }

    fn print(&self, event: &Event) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", as_json(event))?;
        } else {
            match event {
                Event::Publication(publication) => print_line(&mut out, publication)?,
                Event::Batch(publications) => {
                    publications
                        .iter()
                        .try_for_each(|publication| print_line(&mut out, publication))?;
                }
                Event::Reset { topic, .. } => {
                    eprintln!("tidegate: {topic}: publications in between are lost")
                }
                Event::Lagged { missed } => {
                    eprintln!("tidegate: too slow: {missed} publications were dropped")
                }
                Event::End { reason } => eprintln!("tidegate: {}: {reason}", self.pattern),
                Event::Stale => eprintln!("tidegate: stale: the backend can't be reached"),
                Event::Live => eprintln!("tidegate: live again"),
                Event::Refused(_) => {}
            }
        }
        out.flush()
    }
}

fn print_line(out: &mut impl std::io::Write, publication: &Publication) -> std::io::Result<()> {
    let (dim, plain) = if std::io::stdout().is_terminal() {
        ("\x1b[2m", "\x1b[0m")
    } else {
        ("", "")
    };
    let offset = publication.position.offset;
    writeln!(
        out,
        "{} {dim}#{offset}{plain} {}",
        publication.topic, publication.payload
    )
}

fn as_json(event: &Event) -> serde_json::Value {
    let publication = |publication: &Publication| {
        json!({
            "topic": publication.topic,
            "epoch": publication.position.epoch,
            "offset": publication.position.offset,
            "end": publication.end,
            "data": publication.payload,
        })
    };
    match event {
        Event::Publication(item) => publication(item),
        Event::Batch(items) => json!({"batch": items.iter().map(publication).collect::<Vec<_>>()}),
        Event::Reset { topic, position } => {
            json!({"reset": topic, "epoch": position.epoch, "offset": position.offset})
        }
        Event::Lagged { missed } => json!({"lagged": missed}),
        Event::End { reason } => json!({"end": reason}),
        Event::Stale => json!({"stale": true}),
        Event::Live => json!({"stale": false}),
        Event::Refused(error) => json!({"error": {"code": error.code, "message": error.message}}),
    }
}
