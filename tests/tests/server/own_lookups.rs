//! Looking up topics of the server itself.

use tidegate_core::history::HistoryLimits;
use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::uplink::Lookup;
use tidegate_tests::json::{Json, report};
use tidegate_tests::{secs, topic};

use crate::lookups::{latest, one, tops};

#[test]
fn topics_of_the_server_itself_are_found_at_once() {
    let mut config = ServerConfig::new(1);
    config.hub.history = HistoryLimits {
        count_max: 3,
        ..HistoryLimits::default()
    };
    let mut server: ServerHub<Json> = ServerHub::new(config);
    let now = Instant::from_millis(1);
    let mut positions = Vec::new();
    for number in 1..=5 {
        let request = PublishRequest::new(topic("job:1"), report(number));
        positions.push(server.handle_publish(now, request).unwrap());
    }
    let mut find = |lookup: Lookup| server.handle_lookup(now, 1, lookup).expect("at once");
    assert_eq!(tops(&find(latest("job:*"))), one("job:1", 5));
    assert_eq!(tops(&find(latest("job:2"))), []);
    let mut since = |position| {
        let topic = topic("job:1");
        let found = find(Lookup::History {
            topic,
            since: position,
        });
        let publications = found[0].publications.iter();
        let offsets: Vec<u64> = publications.map(|it| it.position.offset).collect();
        (offsets, found[0].is_whole_since(position))
    };
    assert_eq!(since(positions[2]), (vec![4, 5], true));
    assert_eq!(since(positions[1]), (vec![3, 4, 5], true));
    assert_eq!(since(positions[0]), (vec![5], false), "it was trimmed");
    assert_eq!(since(positions[4]), (vec![], true));
    let ahead = Position {
        offset: 6,
        ..positions[4]
    };
    assert_eq!(since(ahead), (vec![5], false));
    assert_eq!(since(Position::default()), (vec![3, 4, 5], false));
    assert_eq!(server.counts().subscriptions, 0);
}

#[test]
fn what_is_too_old_to_be_recovered_is_not_found() {
    let mut config = ServerConfig::new(1);
    config.hub.history.age_max = secs(10);
    let mut server: ServerHub<Json> = ServerHub::new(config);
    for number in 0..3 {
        let request = PublishRequest::new(topic("job:1"), report(number));
        let now = Instant::from_millis(1 + number * 6_000);
        server.handle_publish(now, request).unwrap();
    }
    let whole = Lookup::History {
        topic: topic("job:1"),
        since: Position::default(),
    };
    let found = server.handle_lookup(Instant::from_millis(16_002), 1, whole);
    let found = found.expect("at once");
    assert_eq!(found[0].publications.len(), 1);
}
