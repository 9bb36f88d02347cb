use std::io::ErrorKind;

use crate::conformance::in_time;

use super::*;

/// A server that says everything again, and stays while this is held.
async fn echo() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                // A broken connection is what these tests are about.
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    (address, tasks)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let connected = in_time("connecting", TcpStream::connect(proxy.address())).await;
    connected.expect("the proxy listens")
}

/// Sends a text, and returns what comes back, up to the same length or the end of the connection.
async fn say(stream: &mut TcpStream, text: &str) -> String {
    // It may be broken already.
    let _ = stream.write_all(text.as_bytes()).await;
    hear(stream, text.len()).await
}

async fn hear(stream: &mut TcpStream, bytes: usize) -> String {
    let mut heard = vec![0; bytes];
    let mut count = 0;
    while count < bytes {
        match in_time("reading", stream.read(&mut heard[count..])).await {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    String::from_utf8_lossy(&heard[..count]).into_owned()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_their_end() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    let long = "tide".repeat(BUFFER_BYTES);
    let (mut from, mut to) = stream.split();
    let mut heard = Vec::new();
    let (said, all) = tokio::join!(
        async {
            to.write_all(long.as_bytes()).await?;
            to.shutdown().await
        },
        in_time("reading", from.read_to_end(&mut heard)),
    );
    said.and(all.map(drop)).expect("nothing is broken");
    assert_eq!(heard, long.as_bytes());
    assert_eq!(proxy.attempts(), 1);
}

#[tokio::test]
async fn a_cut_breaks_what_stands_and_nothing_later() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let (mut first, mut second) = (connect(&proxy).await, connect(&proxy).await);
    assert_eq!(say(&mut first, "a").await, "a");
    assert_eq!(say(&mut second, "b").await, "b");
    assert_eq!(proxy.connections(), 2);
    proxy.cut().await;
    assert_eq!(proxy.connections(), 0);
    assert_eq!(say(&mut first, "c").await, "");
    assert_eq!(say(&mut second, "d").await, "");
    let mut third = connect(&proxy).await;
    assert_eq!(say(&mut third, "e").await, "e");
}

#[tokio::test]
async fn a_message_is_cut_in_its_midst_either_way() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "first").await, "first");
    proxy.cut_after(Way::Down, 8);
    assert_eq!(say(&mut stream, "second").await, "second");
    assert_eq!(say(&mut stream, "third").await, "th");
    in_time("the cut", proxy.is_cut()).await;
    let mut stream = connect(&proxy).await;
    proxy.cut_after(Way::Up, 0);
    assert_eq!(say(&mut stream, "fourth").await, "");
    in_time("the cut", proxy.is_cut()).await;
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_stalled_link_holds_everything_back_and_gives_it_when_healed() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "a").await, "a");
    proxy.stall();
    stream.write_all(b"b").await.expect("it stands");
    let mut later = connect(&proxy).await;
    later.write_all(b"c").await.expect("it stands");
    in_time("being asked", proxy.asked_again(1)).await;
    let nothing = stream.try_read(&mut [0; 8]).expect_err("nothing came");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    proxy.heal();
    assert_eq!(hear(&mut stream, 1).await, "b");
    assert_eq!(hear(&mut later, 1).await, "c");
}

#[tokio::test]
async fn a_stalled_link_can_be_cut() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "a").await, "a");
    proxy.stall();
    stream.write_all(b"b").await.expect("it stands");
    in_time("the cut", proxy.cut()).await;
    assert_eq!(hear(&mut stream, 1).await, "");
}

#[tokio::test]
async fn a_refusing_one_breaks_new_connections_and_keeps_the_others() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "a").await, "a");
    proxy.refuse();
    let mut refused = connect(&proxy).await;
    assert_eq!(say(&mut refused, "b").await, "");
    assert_eq!(say(&mut stream, "c").await, "c");
    assert_eq!((proxy.connections(), proxy.attempts()), (1, 2));
    proxy.heal();
    let mut taken = connect(&proxy).await;
    assert_eq!(say(&mut taken, "d").await, "d");
}

#[tokio::test]
async fn a_dropped_one_leaves_no_connection() {
    let (server, _tasks) = echo().await;
    let proxy = Proxy::to(server).await;
    let mut stream = connect(&proxy).await;
    assert_eq!(say(&mut stream, "a").await, "a");
    drop(proxy);
    assert_eq!(hear(&mut stream, 1).await, "");
}
