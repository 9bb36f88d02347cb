//! How a client handles a server that refuses a watch or a presence, or ends it later.

use std::sync::Arc;

use tidegate_core::client::{ClientEvent, PresenceEvent};
use tidegate_core::presence::PresenceState;
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame};
use tidegate_tests::bench::{Bench, error};
use tidegate_tests::json::Json;
use tidegate_tests::presence_model::key;
use tidegate_tests::topic;

#[test]
fn a_watch_that_is_refused_is_the_one_that_was_asked_for() {
    let mut bench = Bench::subscribed();
    let rooms = ["room:1", "room:2"].map(topic);
    for room in &rooms {
        bench.client.handle_watch(bench.now, room);
    }
    let requests = bench.sent().into_iter().map(|frame| match frame {
        ClientFrame::Watch { request, .. } => request,
        other => panic!("{other:?}"),
    });
    let second = requests.last().unwrap();
    let refusal = error(ErrorCode::Forbidden).about_request(second);
    bench.receive(ServerFrame::Error(refusal));
    let is_known = rooms.map(|room| bench.client.roster(&room).is_some());
    assert_eq!(is_known, [true, false]);
}

#[test]
fn a_watch_and_a_presence_that_the_server_ends_later_are_told_and_over() {
    let mut bench = Bench::subscribed();
    let (now, room) = (bench.now, topic("room:1"));
    let track = bench
        .client
        .handle_track(now, room.clone(), key("ada"), Json::from(1));
    bench.client.handle_watch(now, &room);
    let requests = bench.sent().into_iter().filter_map(|frame| match frame {
        ClientFrame::Watch { request, .. } => Some(request),
        _ => None,
    });
    let watch = requests.last().unwrap();
    bench.receive(ServerFrame::PresenceState(Arc::new(PresenceState {
        topic: room.clone(),
        present: Vec::new(),
    })));
    bench.events();
    for request in [watch, track] {
        let over = error(ErrorCode::Forbidden).about_request(request);
        bench.receive(ServerFrame::Error(over));
    }
    let told = bench.events();
    assert!(
        matches!(
            &told[..],
            [
                ClientEvent::Presence(PresenceEvent::WatchRefused { topic, .. }),
                ClientEvent::Presence(PresenceEvent::TrackRefused { number, .. }),
            ] if *topic == room && *number == track
        ),
        "{told:?}"
    );
    assert!(bench.client.roster(&room).is_none());
    bench.reopen();
    let again = bench.sent();
    assert!(
        again
            .iter()
            .all(|frame| !matches!(frame, ClientFrame::Track { .. } | ClientFrame::Watch { .. })),
        "neither is asked for again: {again:?}"
    );
}
