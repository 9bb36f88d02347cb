//! `tidegate top` on a terminal: it shows what there is, and leaves the terminal as it was.
#![cfg(unix)]

use crate::run_support::Server;
use crate::run_support::desk::Desk;
use pty_process::Size;
use serde_json::json;

const LEAVES_THE_SCREEN: &str = "\x1b[?1049l";

#[test]
fn topics_are_shown_until_q_and_ctrl_c_ends_it_too() {
    let server = Server::start();
    server.publish("job:first", &json!({ "progress": 0.5 }));
    for key in ["q", "\x03"] {
        let mut desk = Desk::start(Size::new(20, 120), &["top", "--server", &server.url()]);
        desk.see("LAG");
        desk.see("job:first");
        desk.type_in(key);
        assert!(desk.ended().success());
        desk.see(LEAVES_THE_SCREEN);
    }
}
