//! `tidegate top` on a terminal: it shows what there is, and leaves the terminal as it was.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::run_support::{PROGRAM, Server, wait_for};
use pty_process::Size;
use pty_process::blocking::Command;

const LEAVES_THE_SCREEN: &str = "\x1b[?1049l";

fn publish(server: &Server, topic: &str) {
    let body = format!(r#"{{"topic":"{topic}","data":{{"progress":0.5}}}}"#);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    let head = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn topics_are_shown_until_q_and_ctrl_c_ends_it_too() {
    let server = Server::start();
    publish(&server, "job:first");
    for key in ["q", "\x03"] {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(20, 120)).unwrap();
        let command = Command::new(PROGRAM).args(["top", "--server", &server.url()]);
        let mut process = command.env("TERM", "xterm").spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let seen = Arc::new(Mutex::new(String::new()));
        let (reading, written) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody has open any more ends with an error.
            while let Ok(length @ 1..) = (&*reading).read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                written.lock().unwrap().push_str(&text);
            }
        });
        let see = |text: &str| wait_for(text, || seen.lock().unwrap().contains(text));
        see("job:first");
        (&*pty).write_all(key.as_bytes()).unwrap();
        assert!(process.wait().unwrap().success());
        see(LEAVES_THE_SCREEN);
    }
}
