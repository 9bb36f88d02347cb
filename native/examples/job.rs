//! A background job. It knows no server, only the backend that it shares with its viewers, and it has no async runtime.
//!
//! ```text
//! TIDEGATE_BACKEND=sqlite:/tmp/jobs.db cargo run --example web -- 127.0.0.1:8421
//! TIDEGATE_BACKEND=sqlite:/tmp/jobs.db cargo run --example job -- 7 30000000
//! ```
//!
//! Any backend will do: `redis://127.0.0.1:6379`, `postgres://user@127.0.0.1/app`. The work counts primes, and can be
//! watched at <http://127.0.0.1:8421/live>.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tidegate::{Client, JobUpdate, Publish};

/// How many numbers are tested between two updates.
const STEP: u64 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [id, upto] = arguments.as_slice() else {
        return Err("usage: job ID UPTO".into());
    };
    let upto: u64 = upto.parse()?;
    let client = Client::from_env()?.blocking();
    println!("publishing to {}", client.client().place());
    let started = Instant::now();
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let topic = format!("job:{id}");
    let update = |status: &str, done: u64, primes: u64| {
        let mut update = JobUpdate::new(status)
            .with_message(format!("{primes} primes"))
            .with("name", format!("primes up to {upto}"))
            .with("done", done)
            .with("total", upto)
            .with("unit", "numbers")
            .with("started_at", json!(started_at))
            .with("elapsed_ms", json!(started.elapsed().as_millis()));
        update.job_id.clone_from(id);
        update
    };
    let (mut done, mut primes) = (0, 0);
    while done < upto {
        let to = (done + STEP).min(upto);
        primes += (done + 1..=to).filter(|number| is_prime(*number)).count() as u64;
        let options = Publish {
            // A job with the same id may have run before.
            restart: done == 0,
            ..Publish::default()
        };
        done = to;
        // If the backend doesn't store it, this is an error: nothing is lost silently.
        client.publish_with(&topic, &update("RUNNING", done, primes), options)?;
    }
    // This status ends the topic, and every stream of it.
    client.publish(&topic, &update("COMPLETE", done, primes))?;
    client.close()?;
    Ok(())
}

fn is_prime(number: u64) -> bool {
    number > 1
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}
