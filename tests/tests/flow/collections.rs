//! Collected publications are never conflated on the way: they come in batches, whatever other subscribers of the
//! client want.

use tidegate_tests::network::Direction;
use tidegate_tests::record::Seen;
use tidegate_tests::{ms, secs};

use super::push_up::{collect, collect_each, network, publish_each};

#[test]
fn equal_collections_arrive_as_one_batch_each() {
    let mut net = network();
    let records = [0, 1].map(|_| net.subscribe(0, "job:1", collect()));
    net.run_for(ms(100));
    publish_each(&mut net, 20, 10);
    net.run_for(secs(1));
    for record in records {
        let batches = net.records[record].seen.iter().map(|(_, seen)| match seen {
            Seen::Batch(items) => items.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(batches.collect::<Vec<_>>(), [1, 4, 5]);
    }
}

#[test]
fn two_collections_arrive_in_batches_of_the_finer_and_each_as_it_asked() {
    let mut net = network();
    let records = [collect(), collect_each(300)].map(|flow| net.subscribe(0, "job:1", flow));
    net.run_for(ms(100));
    let frames = net.frames(0, Direction::Down);
    publish_each(&mut net, 10, 60);
    net.run_for(secs(1));
    assert_eq!(
        net.frames(0, Direction::Down) - frames,
        7,
        "at 0, 100, … 600"
    );
    let sizes = records.map(|record| {
        let batches = net.records[record].seen.iter().map(|(_, seen)| match seen {
            Seen::Batch(items) => items.len(),
            other => panic!("{other:?}"),
        });
        batches.collect::<Vec<_>>()
    });
    assert_eq!(sizes, [vec![1, 9, 10, 10, 10, 10, 10], vec![1, 29, 30]]);
}
