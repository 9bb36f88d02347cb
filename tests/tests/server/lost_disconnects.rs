//! Broadcasts about disconnected users that are lost on the way, although the link stands.

use tidegate_tests::asking::granted;
use tidegate_tests::ms;

use crate::disconnects::{ada, disconnect, ends, hear, said, servers};

#[test]
fn what_could_not_be_said_is_said_again_soon_with_its_age() {
    let [mut here, mut there] = servers();
    let id = granted(&mut there, ada());
    disconnect(&mut here, 1, "ada");
    assert!(said(&mut here).is_some(), "it is lost on its way");
    for _ in 0..3 {
        assert_eq!(said(&mut here), None);
        here.server.handle_disconnects_lost(here.now);
        here.server.handle_disconnects_lost(here.now);
        here.pass(ms(999));
        assert_eq!(said(&mut here), None, "not at once");
        here.pass(ms(1));
        let again = said(&mut here).expect("it is due");
        assert_eq!(again.matches("ada").count(), 1, "{again}");
        there.now = here.now;
        hear(&mut there, &again);
    }
    assert_eq!(ends(&mut there), [id]);
}
