//! `tidegate top` on a terminal: it shows the topics, and leaves the terminal as it was.
#![cfg(unix)]

use crate::run_support::Server;
use crate::run_support::desk::Desk;
use pty_process::Size;
use rustix::process::Signal;
use serde_json::json;

const LEAVES_THE_SCREEN: &str = "\x1b[?1049l";
const SHOWS_THE_CURSOR: &str = "\x1b[?25h";

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

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    let server = Server::start();
    for (signal, code) in [
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::TERM, 143),
    ] {
        let mut desk = Desk::start(Size::new(20, 120), &["top", "--server", &server.url()]);
        desk.see("LAG");
        assert!(desk.is_raw());
        desk.signal(signal);
        assert_eq!(desk.ended().code(), Some(code));
        desk.see(LEAVES_THE_SCREEN);
        desk.see(SHOWS_THE_CURSOR);
        assert!(!desk.is_raw(), "{signal:?}");
    }
}

#[test]
fn what_cannot_be_drawn_on_is_left_alone() {
    let server = Server::start();
    let command = ["top", "--server", &server.url()];
    let mut desk = Desk::start_in(&[("TERM", "dumb")], Size::new(20, 120), &command);
    assert_eq!(desk.ended().code(), Some(1));
    desk.see("top draws on a terminal");
    assert!(!desk.text().contains('\x1b'));
}
