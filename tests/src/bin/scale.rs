//! Measures the costs that grow with a cluster, on the real state machines, and plots them: `scale FOLDER` writes the
//! plots there.

use std::path::Path;
use std::time::Duration;

use tidegate_tests::scale::channels;
use tidegate_tests::scale::chart::{Line, Words, draw};
use tidegate_tests::scale::presences;
use tidegate_tests::scale::storm::{Cause, Storm, measure};

const SIZES: [u64; 5] = [5, 10, 25, 50, 100];

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let folder = Path::new(&folder);
    std::fs::write(folder.join("scale-channels.svg"), channels_of_sizes())?;
    std::fs::write(folder.join("scale-presence.svg"), presence_of_sizes())?;
    std::fs::write(folder.join("scale-storm.svg"), storms())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn channels_of_sizes() -> String {
    println!(
        "| servers | subscriptions of clients | channels followed | of one server |\n|---|---|---|---|"
    );
    let mut points = Vec::new();
    for servers in SIZES {
        let found = channels::measure(servers);
        let (all, followed) = (found.subscriptions, found.followed);
        println!(
            "| {servers} | {all} | {followed} | {} |",
            followed / servers
        );
        points.push((servers as f64, followed as f64));
    }
    let all = SIZES.map(|servers| (servers as f64, 3.0 * channels::CONNECTIONS as f64));
    let words = Words {
        title: "Channels at the backend, of a million connections",
        up: "subscriptions of all servers at the backend",
        along: "servers",
    };
    let lines: [Line; 2] = [
        ("channels followed", points),
        ("subscriptions of clients", all.into()),
    ];
    draw(words, &lines)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn presence_of_sizes() -> String {
    println!(
        "\n| servers | changes/s | messages/s | read by all/s | read by each/s | KB/s |\n|---|---|---|---|---|---|"
    );
    let line = |changes: u64| -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for servers in SIZES {
            let said = presences::measure(servers, changes);
            let each = said.read / servers as f64;
            let kilobytes = said.bytes / 1_000.0;
            println!(
                "| {servers} | {changes} | {:.0} | {:.0} | {each:.0} | {kilobytes:.1} |",
                said.sent, said.read
            );
            points.push((servers as f64, each));
        }
        points
    };
    let words = Words {
        title: "Presence: what each server reads of the others",
        up: "messages a second",
        along: "servers",
    };
    let lines: [Line; 3] = [
        ("1,000 changes a second", line(1_000)),
        ("100 changes a second", line(100)),
        ("nobody comes or goes", line(0)),
    ];
    draw(words, &lines)
}

fn storms() -> String {
    println!(
        "\n| | clients | servers | attempts | most in 100 ms | half are back | 99 % | all |\n|---|---|---|---|---|---|---|---|"
    );
    let killed = tell("a server is killed", Cause::Killed, 10_000, 99);
    let drained = Cause::Drained(Duration::from_secs(8));
    let drained = tell("a server drains in 8 s", drained, 10_000, 99);
    let away = Cause::AllAway(Duration::from_secs(5));
    let away = tell("all are away for 5 s", away, 100_000, 10);
    let words = Words {
        title: "After a server is lost: its 10,000 clients at 99 others; after all are: 100,000 at 10",
        up: "connections opened in 100 ms, by all servers",
        along: "seconds",
    };
    let lines: [Line; 3] = [
        ("one is killed", points(&killed)),
        ("one is drained", points(&drained)),
        ("all away for 5 s", points(&away)),
    ];
    draw(words, &lines)
}

fn tell(what: &str, cause: Cause, clients: usize, servers: usize) -> Storm {
    let storm = measure(cause, clients, servers);
    let back = |percent: usize| storm.back[(clients * percent / 100).min(clients - 1)];
    let most = storm.opened.iter().max().copied().unwrap_or_default();
    let attempts: u64 = storm.attempts.iter().sum();
    println!(
        "| {what} | {clients} | {servers} | {attempts} | {most} | {:.2?} | {:.2?} | {:.2?} |",
        back(50),
        back(99),
        back(100)
    );
    storm
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn points(storm: &Storm) -> Vec<(f64, f64)> {
    let opened = storm.opened.iter().enumerate();
    opened
        .map(|(tenth, count)| (tenth as f64 / 10.0, *count as f64))
        .collect()
}
