//! Watches a job at a server until it ends: `watch_job http://127.0.0.1:8420 job:42`.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;
use tidegate::EndReason;
use tidegate::Flow;
use tidegate::{Client, Event, Subscribe};

/// The members of an update that this watcher reads; there may be others.
#[derive(Deserialize)]
struct Update {
    progress: Option<f64>,
    done: Option<f64>,
    total: Option<f64>,
    message: Option<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, topic] = arguments.as_slice() else {
        return Err("usage: watch_job URL TOPIC".into());
    };
    let client = Client::connect(url).await?;
    // Nobody reads more than five lines a second, so the server need not send more.
    let options = Subscribe {
        flow: Flow::throttle(Duration::from_millis(200)),
        ..Subscribe::default()
    };
    let mut events = client.subscribe_with(topic, options).await?;
    while let Some(event) = events.next().await {
        match event {
            Event::Publication(publication) => print(&publication.payload.parse()?),
            Event::End { reason } => {
                println!("{reason}");
                return Ok(ExitCode::from(u8::from(reason != EndReason::Complete)));
            }
            Event::Refused(error) => return Err(error.into()),
            // What was in between is lost. The newest value follows, and nothing else matters here.
            Event::Reset { .. }
            | Event::Lagged { .. }
            | Event::Batch(_)
            | Event::Stale
            | Event::Live => {}
        }
    }
    Err("the client was closed".into())
}

fn print(update: &Update) {
    let share = update
        .progress
        .or_else(|| Some(update.done? / update.total?));
    let percent = share.map_or("   ?".to_owned(), |share| format!("{:3.0}%", share * 100.0));
    println!(
        "{percent} {}",
        update.message.as_deref().unwrap_or_default()
    );
}
