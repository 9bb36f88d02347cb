//! Disconnects of the same user that follow each other, and those that are heard several times.

use tidegate_core::limits::DISCONNECTS_KEPT_FOR;
use tidegate_tests::asking::{granted, wire};
use tidegate_tests::{ms, secs};

use crate::disconnects::{ada, disconnect, ends, hear, said, servers};

/// What is said comes back to who has said it, later than it was said: by its age alone it would concern those who have come meanwhile.
#[test]
fn a_server_that_hears_itself_late_ends_nobody_who_has_come_since() {
    let [mut here, mut there] = servers();
    disconnect(&mut here, 1, "ada");
    let said = said(&mut here).expect("it has a link");
    hear(&mut there, &said);
    for server in [&mut here, &mut there] {
        server.pass(ms(50));
        let id = granted(server, ada());
        server.pass(ms(50));
        hear(server, &said);
        assert!(ends(server).is_empty());
        assert_eq!(disconnect(server, 2, "ada"), 1, "{id:?} is there");
    }
}

#[test]
fn the_last_of_several_is_remembered_as_long_as_if_it_were_the_only_one() {
    let mut wire = wire();
    disconnect(&mut wire, 1, "ada");
    wire.pass(DISCONNECTS_KEPT_FOR / 2);
    let asked = wire.now;
    wire.pass(secs(1));
    disconnect(&mut wire, 2, "ada");
    // The first is forgotten.
    wire.pass(DISCONNECTS_KEPT_FOR / 2);
    disconnect(&mut wire, 3, "bob");
    let stream = wire.server.handle_open_local(1_000);
    let is_let_in = wire.server.handle_user(stream, Some("ada".into()), asked);
    assert!(!is_let_in, "who was asked about before it ended is not");
}

#[test]
fn without_a_link_nothing_is_said() {
    let mut wire = wire();
    disconnect(&mut wire, 1, "ada");
    wire.server.handle_disconnects_lost(wire.now);
    wire.pass(secs(2));
    assert_eq!(said(&mut wire), None);
    wire.server.handle_servers_linked(wire.now);
    wire.pass(secs(1));
    assert!(said(&mut wire).is_some());
}
