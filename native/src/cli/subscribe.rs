//! `tidegate sub`.

mod bars;
mod job;
pub(super) mod lines;
mod screen;
mod view;

use std::pin::pin;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures_util::StreamExt as _;
use lines::Form;
use tidegate::client::{ClientSubscription, Status};
use tidegate::core::client::ConnectionState;
use tidegate::core::durable::DurableName;
use tidegate::core::flow::{Flow, Slow};
use tidegate::core::protocol::{FlowSpec, Start};
use tidegate::core::topic::Pattern;
use tidegate::duration::parse_duration_ms;
use tidegate::serve::stop_signal;
use tidegate::{Event, Publication};
use tokio::sync::watch;
use view::View;

use super::Misconfigured;

const EXAMPLES: &str = "\
Examples:
  tidegate sub job:42
  tidegate sub 'job:*' --throttle 1s
  tidegate sub job:42 --json | jq .data.progress
  tidegate sub user:7 --durable desk-6b1f92c4";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Subscribe {
    /// A topic, or a pattern: * matches one segment, and ** at the end matches one or more.
    pattern: Pattern,
    /// Print at most one publication per topic in this time, the latest.
    #[arg(long, value_name = "TIME", value_parser = milliseconds, conflicts_with = "debounce")]
    throttle: Option<u64>,
    /// Print a topic's latest publication once nothing was published for this time.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    debounce: Option<u64>,
    /// The longest time that --debounce may delay a publication.
    #[arg(long, value_name = "TIME", value_parser = milliseconds, requires = "debounce")]
    max_wait: Option<u64>,
    /// What to do with publications that are waiting.
    #[arg(long, value_enum)]
    conflate: Option<Conflate>,
    /// What to do with publications while this program or its connection is too slow: conflate (keep the newest of each
    /// topic), drop (drop the oldest, and say how many) or disconnect (and resume)
    #[arg(long, value_name = "POLICY")]
    slow: Option<Slow>,
    /// Continue where the last run with this name stopped, even if that was a week ago or on another server: the server
    /// remembers under this name what was printed. On a server without authentication, use a name that nobody can
    /// guess
    #[arg(long, value_name = "NAME", value_parser = device, conflicts_with_all = ["slow", "backend"])]
    durable: Option<DurableName>,
    /// Let the server send only changes if that is shorter. Complete values are printed all the same.
    #[arg(long)]
    delta: bool,
    /// Don't print retained values first.
    #[arg(long)]
    new: bool,
    /// Stop after this many publications.
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each event as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Print each publication as a line, even on a terminal, where jobs are otherwise drawn as bars.
    #[arg(long, conflicts_with = "json")]
    plain: bool,
    #[command(flatten)]
    place: super::PlaceArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Conflate {
    /// The newest replaces the older ones.
    Latest,
    /// Each is merged into the older ones (RFC 7396).
    Merge,
    /// Numbers are added up, field by field.
    Sum,
    /// All of them, in order.
    Collect,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    parse_duration_ms(text).ok_or_else(|| "write a time such as 250ms, 1s or 2m".to_owned())
}

/// Whether what was printed is up to date, according to the connection's state; `None` for a closed one.
const fn freshness(state: &ConnectionState) -> Option<Event> {
    match state {
        ConnectionState::Connected => Some(Event::Live),
        ConnectionState::Disconnected
        | ConnectionState::Connecting { .. }
        | ConnectionState::Stale => Some(Event::Stale),
        ConnectionState::Closed(_) => None,
    }
}

fn device(text: &str) -> Result<DurableName, String> {
    DurableName::new(text).map_err(|error| error.to_string())
}

impl Subscribe {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let options = tidegate::Subscribe {
            flow: self.flow().map_err(Misconfigured::because)?,
            start: if self.new { Start::New } else { Start::Latest },
            slow: self.slow,
            durable: self.durable.clone(),
            ..tidegate::Subscribe::default()
        };
        let client = self.place.connect().await?;
        let events = client
            .subscribe_with(self.pattern.as_str(), options)
            .await?;
        let heard = self.show_events(events, client.status()).await;
        client.close_flushed().await?;
        heard
    }

    fn view(&self) -> anyhow::Result<View> {
        if self.json {
            return Ok(View::Lines(Form::Json));
        }
        if self.plain || !view::can_draw() {
            return Ok(View::Lines(Form::for_people()));
        }
        View::bars()
    }

    /// Shows events until the command is done.
    async fn show_events(
        &self,
        mut events: ClientSubscription,
        mut status: watch::Receiver<Status>,
    ) -> anyhow::Result<ExitCode> {
        let mut view = self.view()?;
        let mut is_stale = false;
        let mut left = self.count;
        let mut stopped = pin!(self.stopped());
        loop {
            let event = tokio::select! {
                // Report that the connection is open before what has arrived by it.
                biased;
                Ok(()) = status.changed() => {
                    let Some(event) = freshness(&status.borrow_and_update().state) else {
                        continue;
                    };
                    Some(event)
                }
                () = &mut stopped => {
                    // Show and confirm what was received, whether or not more was requested since.
                    view.draw()?;
                    events.handled();
                    return Ok(ExitCode::SUCCESS);
                }
                () = view.tick() => {
                    view.draw()?;
                    continue;
                }
                event = events.next() => event,
            };
            let Some(event) = event else {
                bail!("the connection was closed");
            };
            let publications: &[Publication] = match &event {
                // A backend reports this twice.
                Event::Stale | Event::Live if is_stale == (event == Event::Stale) => continue,
                Event::Stale | Event::Live => {
                    is_stale = event == Event::Stale;
                    &[]
                }
                Event::Publication(publication) => std::slice::from_ref(publication),
                Event::Batch(publications) => publications,
                Event::Reset { .. } | Event::Lagged { .. } => &[],
                Event::End { reason } => {
                    view.show(&event, self.pattern.as_str())?;
                    view.draw()?;
                    return Ok(super::exit_code(*reason));
                }
                Event::Refused(error) => bail!("{}: {error}", self.pattern),
            };
            view.show(&event, self.pattern.as_str())?;
            if let Some(left) = &mut left {
                *left = left.saturating_sub(publications.len() as u64);
                if *left == 0 {
                    view.draw()?;
                    events.handled();
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }

    /// Completes when the program is told to stop, if the server still has to learn what was printed. Signals count from now on, because
    /// whoever has read the first line may send one.
    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let told = self.durable.is_some().then(stop_signal);
        async {
            match told {
                Some(told) => told.await,
                None => std::future::pending().await,
            }
        }
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
        let flow = Flow::try_from(spec)?;
        flow.validate()?;
        Ok(flow)
    }
}
