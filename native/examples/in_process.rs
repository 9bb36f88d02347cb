//! Publish and subscribe within a process, in ten lines.

use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::{EndReason, Event, Hub, Publish};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::new(Default::default())?;
    let mut events = hub.subscribe("job:42").await?;
    tokio::spawn(async move {
        for done in 1..=3 {
            hub.publish("job:42", &json!({"done": done, "total": 3}))
                .await?;
        }
        let end = Publish::end(EndReason::Complete);
        hub.publish_with("job:42", &json!({"result": "ready"}), end)
            .await
    });
    while let Some(event) = events.next().await {
        match event {
            Event::Publication(publication) => println!("{}", publication.payload),
            Event::End { reason } => println!("{reason}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
