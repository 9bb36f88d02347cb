//! Thousands of connections that are opened and killed in every way leave nothing behind.
#![cfg(target_os = "linux")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::http::get;
use support::program::{Server, program};
use support::socket::Socket;
use support::{config, eventually, within};
use tidegate::auth::JwtVerifier;
use tidegate::bus::{BusConfig, FaultKind};
use tidegate::core::topic::Uuid;
use tidegate::{Client, EventBus, Hub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

const ROUNDS: u64 = 10;
const VISITORS_PER_ROUND: u64 = 256;
const USERS: u64 = 100;

/// How many connections a user may have: more than the storm has of each at a time.
const PER_USER_MAX: usize = 60;

/// How many events there are for the storm's handler.
const EVENTS: u64 = 200;

/// How often the handler panics.
const PANICS: u64 = 20;

/// How often the handler hangs.
const HANGS: u64 = 3;

/// Open files are counted by process, and these tests may share one.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Where visitors are present.
const TOPIC: &str = "doc:storm";

fn token(user: u64) -> String {
    let claims = json!({"sub": user, "exp": 4_000_000_000_u64, "subscribe": ["**"]});
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

/// How a visitor comes and goes.
#[derive(Clone, Copy, Debug)]
enum Visit {
    /// A WebSocket in rooms, which is reset.
    Reset,
    /// … which is closed without a close frame.
    Closed,
    /// … which sends a close frame.
    Goodbye,
    /// … which then sends bytes that are not a WebSocket frame.
    Garbage,
    /// … which falls silent, and reads nothing any more.
    HalfOpen,
    /// An event stream of notifications, which is reset.
    StreamReset,
    /// An event stream of a topic, which is closed.
    StreamClosed,
    /// A request that is never completed.
    HalfRequest,
    /// A WebSocket that never authenticates.
    Nobody,
}

impl Visit {
    const ALL: [Self; 9] = [
        Self::Reset,
        Self::Closed,
        Self::Goodbye,
        Self::Garbage,
        Self::HalfOpen,
        Self::StreamReset,
        Self::StreamClosed,
        Self::HalfRequest,
        Self::Nobody,
    ];

    /// Makes the visit; returns what is left open.
    async fn pay(self, address: &str, user: u64) -> Option<TcpStream> {
        match self {
            Self::Reset => reset(in_rooms(address, user).await),
            Self::Closed => drop(in_rooms(address, user).await),
            Self::Goodbye => {
                let mut socket = in_rooms_as_socket(address, user).await;
                socket.inner.close(None).await.unwrap();
            }
            Self::Garbage => {
                let mut stream = in_rooms(address, user).await;
                stream.write_all(&[0xff; 64]).await.unwrap();
                // It gets an error that this broke the protocol, and is cut.
                let mut rest = Vec::new();
                let cut = within("the end of the connection", stream.read_to_end(&mut rest));
                let _ = cut.await;
            }
            Self::HalfOpen => return Some(in_rooms(address, user).await),
            Self::StreamReset => reset(stream(address, "/user/notifications", user).await),
            Self::StreamClosed => drop(stream(address, "/events?topic=job:1", user).await),
            Self::HalfRequest => {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let half = b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgra";
                stream.write_all(half).await.unwrap();
                reset(stream);
            }
            Self::Nobody => drop(Socket::open(address).await),
        }
        None
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// A user's WebSocket, in rooms and present.
async fn in_rooms_as_socket(address: &str, user: u64) -> Socket {
    let mut socket = Socket::open(address).await;
    let track =
        json!({"type": "track", "ref": 1, "topic": TOPIC, "key": user.to_string(), "data": {}});
    let hello = json!({"type": "hello", "token": token(user)});
    let subscribe = json!({"type": "subscribe", "pattern": "task:*", "flow": {"throttle_ms": 50}});
    socket.send(json!([hello, track, subscribe])).await;
    let mut subscriptions = 0;
    // Its own room, and the one that it asked for.
    while subscriptions < 2 {
        subscriptions += u32::from(socket.next().await["type"] == "subscribed");
    }
    socket
}

async fn in_rooms(address: &str, user: u64) -> TcpStream {
    in_rooms_as_socket(address, user).await.inner.into_inner()
}

/// An event stream that has begun.
async fn stream(address: &str, path: &str, user: u64) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let bearer = token(user);
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    within("an answer", stream.read_exact(&mut head))
        .await
        .unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

/// Makes all visits, in rounds; returns what is half open.
async fn storm(address: &str, visits: &[Visit]) -> Vec<TcpStream> {
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        let visitors = (0..VISITORS_PER_ROUND).map(|number| {
            let visit = visits[usize::try_from(number).unwrap() % visits.len()];
            visit.pay(address, (round + number) % USERS + 1)
        });
        left.extend(join_all(visitors).await.into_iter().flatten());
    }
    left
}

/// What a server reports that it holds.
async fn held(address: &str) -> Value {
    let mut held = get(address, "/debug").await.json();
    let wanted = [
        "connections",
        "sse_connections",
        "subscriptions",
        "topics",
        "gates",
    ];
    let known = wanted.map(|name| (name.to_owned(), held[name].take()));
    let mut told: serde_json::Map<_, _> = known.into_iter().collect();
    let metrics = get(address, "/metrics").await.body;
    for name in [
        "connections",
        "event_streams",
        "subscriptions",
        "topics",
        "gates",
    ] {
        let name = format!("tidegate_{name}");
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&name)?.strip_prefix(' '));
        told.insert(
            name.clone(),
            json!(line.expect("a metric").parse::<u64>().unwrap()),
        );
    }
    Value::Object(told)
}

fn open_files(process: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .count()
}

/// Waits until a server holds what it held before, and has no more files open.
async fn until_as_before(address: &str, process: &str, before: &Value, files: usize) {
    eventually("the counts to be as before", async || {
        held(address).await == *before
    })
    .await;
    eventually("the files to be closed", async || {
        open_files(process) <= files
    })
    .await;
}

/// A user can open as many connections as allowed: earlier ones don't count any more.
async fn a_user_has_all_their_connections(address: &str) {
    let bearer = format!("Bearer {}", token(7));
    let headers = [("authorization", &*bearer)];
    let mut sockets = Vec::new();
    for _ in 0..PER_USER_MAX {
        let stream = TcpStream::connect(address).await.unwrap();
        sockets.push(Socket::with_headers(stream, &headers).await.unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(Socket::with_headers(stream, &headers).await.is_err());
}

/// A hub whose clients are given up early, and its address.
async fn served() -> (Hub, String) {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(JwtVerifier::hs256(SECRET).unwrap()));
    config.access.limits.per_user_max = PER_USER_MAX;
    // Long enough for clients that are alive, however busy this machine is, and short enough to wait for the end of the
    // others.
    config.server.session.heartbeat = Duration::from_secs(5);
    config.server.session.pong_timeout = Duration::from_secs(3);
    config.server.hub.retention = Duration::from_millis(1);
    let hub = Hub::new(config).unwrap();
    let app = tidegate::axum::router(hub.clone());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (hub, address)
}

/// A bus whose handler of `storm` fails as the event says.
async fn failing_bus(hub: &Hub) -> EventBus {
    let config = BusConfig {
        // Longer than a panicking handler takes, however busy this machine is.
        hangs_after: Duration::from_secs(2),
        ..BusConfig::default()
    };
    let bus = EventBus::with_config(Client::from_hub(hub.clone()).unwrap(), config);
    let handling = bus.subscribe_async("storm", async |event| {
        let number: u64 = event.parse().unwrap();
        if number.is_multiple_of(EVENTS / PANICS) {
            panic!("the handler's own fault");
        }
        if number % 70 == 11 {
            std::future::pending().await
        }
    });
    handling.await.unwrap().forever();
    bus
}

/// Events in the rooms of users and tasks; returns how often the handler panicked and hung.
async fn events(bus: &EventBus) -> (u64, u64) {
    let mut faults = bus.faults();
    for number in 0..EVENTS {
        bus.publish_to_user(number % USERS + 1, "storm", &number)
            .await
            .unwrap();
        let task = Uuid::from_bytes([u8::try_from(number).unwrap(); 16]);
        bus.publish_to_task(task, "other", &number).await.unwrap();
    }
    let (mut panicked, mut hung) = (0, 0);
    while panicked + hung < PANICS + HANGS {
        match within("a fault", faults.recv()).await.unwrap().kind {
            FaultKind::Panicked(_) => panicked += 1,
            FaultKind::Hung(_) => hung += 1,
            FaultKind::Overflowed => panic!("there is room for all"),
            FaultKind::Refused(error) => panic!("{error}"),
        }
    }
    (panicked, hung)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_thousands_that_were_killed_while_handlers_failed() {
    let _alone = ALONE.lock().await;
    let (hub, address) = served().await;
    let bus = failing_bus(&hub).await;
    let before = held(&address).await;
    assert_eq!(
        (&before["sse_connections"], &before["topics"]),
        (&json!(0), &json!(0))
    );
    let files = open_files("self");
    let (half_open, faults) = tokio::join!(storm(&address, &Visit::ALL), events(&bus));
    // On a busy machine, reporting a panic may take so long that it counts as hanging.
    let (panicked, hung) = faults;
    assert!(panicked > 0 && hung >= HANGS, "{faults:?}");
    assert_eq!(panicked + hung, PANICS + HANGS);
    assert!(half_open.len() > 200);
    // The server gives them up by itself: our ends stay open until then.
    eventually("the counts to be as before", async || {
        held(&address).await == before
    })
    .await;
    drop(half_open);
    until_as_before(&address, "self", &before, files).await;
    let present = hub.presence(TOPIC).unwrap().list().await.unwrap();
    assert!(present.is_empty(), "{present:?}");
    a_user_has_all_their_connections(&address).await;
    until_as_before(&address, "self", &before, files).await;
    // And the bus still works.
    let mut heard = hub.subscribe("user:7").await.unwrap();
    bus.publish_to_user(7, "storm", &1).await.unwrap();
    within("an event", heard.next()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_a_server_process() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let per_user = PER_USER_MAX.to_string();
    let server = Server::start_with(program(&[
        "serve",
        "--backend",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--connections-per-user",
        &per_user,
        "--jwt-secret-file",
        secret.to_str().unwrap(),
    ]))
    .await;
    let process = server.id().to_string();
    let before = held(&server.address).await;
    let files = open_files(&process);
    // Its clients are given up only after 45 seconds, which is too long to wait for.
    let visits = Visit::ALL
        .into_iter()
        .filter(|visit| !matches!(visit, Visit::HalfOpen));
    let visits: Vec<Visit> = visits.collect();
    assert!(storm(&server.address, &visits).await.is_empty());
    until_as_before(&server.address, &process, &before, files).await;
    a_user_has_all_their_connections(&server.address).await;
    until_as_before(&server.address, &process, &before, files).await;
}
