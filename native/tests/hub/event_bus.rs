//! Events by type, in rooms: which handlers are called, for what, and what a failing handler costs the others.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{self, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::auth::{Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::{Keep, Memory};
use tidegate::bus::{BusConfig, BusEvent, Fault, FaultKind, Task};
use tidegate::client::{ClientError, ClientOptions, ClientSubscription};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::ErrorCode;
use tidegate::core::topic::{Room, TaskRoom, UserRoom, Uuid};
use tidegate::{Client, Config, Event, EventBus, Hub, TaskEvents};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, broadcast};

const TASK: Task = Task {
    id: Uuid::from_bytes([7; 16]),
    owner: 7,
};

fn client() -> Client {
    Client::from_hub(Hub::new(Config::default()).unwrap()).unwrap()
}

fn bus() -> EventBus {
    EventBus::new(client())
}

/// Events of a type as they are handled, and the handler.
async fn handled(
    bus: &EventBus,
    event: &str,
) -> (tidegate::bus::Handling, UnboundedReceiver<BusEvent>) {
    let (heard, hearing) = unbounded_channel();
    let handling = bus
        .subscribe_async(event, move |event| {
            let heard = heard.clone();
            async move { heard.send(event).unwrap_or_default() }
        })
        .await
        .unwrap();
    (handling, hearing)
}

async fn next(hearing: &mut UnboundedReceiver<BusEvent>) -> BusEvent {
    within("an event", hearing.recv())
        .await
        .expect("the handler is there")
}

async fn fault(faults: &mut broadcast::Receiver<Fault>) -> FaultKind {
    within("a fault", faults.recv()).await.unwrap().kind
}

#[tokio::test]
async fn a_handler_gets_the_events_of_its_type_in_order_from_every_room() {
    let bus = bus();
    let (_handling, mut hearing) = handled(&bus, "label").await;
    let (_other, mut other) = handled(&bus, "other").await;
    for number in 0..100 {
        bus.publish_to_user(number % 2, "label", &number)
            .await
            .unwrap();
    }
    bus.publish_to_task(TASK.id, "label", &100).await.unwrap();
    bus.publish_to_task(TASK.id, "other", &"x").await.unwrap();
    let mut of_users = 0..100_u64;
    let mut of_task = 0;
    for _ in 0..=100 {
        let event = next(&mut hearing).await;
        if event.room == TaskRoom(TASK.id).topic() {
            // Rooms of tasks are followed besides those of users.
            of_task += 1;
            continue;
        }
        let number = of_users.next().unwrap();
        assert_eq!(event.parse::<u64>().unwrap(), number);
        assert_eq!(event.room, UserRoom(number % 2).topic());
        assert_eq!(event.position.offset, number / 2 + 1);
    }
    assert_eq!(of_task, 1);
    assert_eq!(next(&mut other).await.parse::<String>().unwrap(), "x");
}

#[tokio::test]
async fn a_handler_ends_when_it_is_dropped_and_one_that_is_kept_does_not() {
    let bus = bus();
    let (dropped, mut gone) = handled(&bus, "label").await;
    let (kept, mut hearing) = handled(&bus, "label").await;
    drop(dropped);
    kept.forever();
    bus.publish_to_user(1, "label", &1).await.unwrap();
    next(&mut hearing).await;
    assert!(within("its end", gone.recv()).await.is_none());
}

#[tokio::test]
async fn events_reach_handlers_of_other_processes_by_their_backend() {
    let backend = Memory::new(Keep::default());
    let [near, far] = [0, 1].map(|_| {
        let hub = Hub::with_backend(Config::default(), Arc::new(backend.share())).unwrap();
        EventBus::new(Client::from_hub(hub).unwrap())
    });
    let (_near, mut at_near) = handled(&near, "label").await;
    let (_far, mut at_far) = handled(&far, "label").await;
    near.publish_to_user(1, "label", &json!({ "n": 1 }))
        .await
        .unwrap();
    let (here, there) = (next(&mut at_near).await, next(&mut at_far).await);
    assert_eq!(here, there);
    assert_eq!(here.parse::<Value>().unwrap(), json!({ "n": 1 }));
}

#[tokio::test]
async fn a_handler_that_panics_is_reported_and_costs_nobody_an_event() {
    let bus = bus();
    let mut faults = bus.faults();
    let (heard, mut hearing) = unbounded_channel();
    let panicking = move |event: BusEvent| {
        assert!(
            event.parse::<u64>().unwrap().is_multiple_of(2),
            "odd ones are not mine"
        );
        heard.send(event).unwrap_or_default();
    };
    let _blocking = bus.subscribe("label", panicking.clone()).await.unwrap();
    let awaiting = move |event: BusEvent| {
        panicking(event);
        async {}
    };
    let _awaiting = bus.subscribe_async("label", awaiting).await.unwrap();
    let (_witness, mut witness) = handled(&bus, "label").await;
    for number in 1..=4 {
        bus.publish_to_user(1, "label", &number).await.unwrap();
    }
    for _ in 0..4 {
        let FaultKind::Panicked(words) = fault(&mut faults).await else {
            panic!("another fault");
        };
        assert!(words.contains("odd ones are not mine"), "{words}");
        next(&mut hearing).await;
        next(&mut witness).await;
    }
}

#[tokio::test]
async fn a_handler_that_hangs_is_cancelled_and_called_again() {
    let config = BusConfig {
        hangs_after: Duration::from_millis(1),
        ..BusConfig::default()
    };
    let bus = EventBus::with_config(client(), config);
    let mut faults = bus.faults();
    let (heard, mut hearing) = unbounded_channel();
    let _hanging = bus
        .subscribe_async("label", move |event| {
            let heard = heard.clone();
            async move {
                heard.send(event).unwrap_or_default();
                std::future::pending().await
            }
        })
        .await
        .unwrap();
    for number in 0..3 {
        bus.publish_to_user(1, "label", &number).await.unwrap();
    }
    for number in 0..3 {
        assert_eq!(next(&mut hearing).await.parse::<u64>().unwrap(), number);
        let hung = FaultKind::Hung(Duration::from_millis(1));
        assert_eq!(fault(&mut faults).await, hung);
    }
}

#[tokio::test]
async fn events_that_wait_for_a_handler_are_bounded_and_the_lost_ones_are_reported() {
    let config = BusConfig {
        queue_max: 2,
        ..BusConfig::default()
    };
    let bus = EventBus::with_config(client(), config);
    let mut faults = bus.faults();
    let (release, released) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (gate, called) = (release.clone(), released.clone());
    let _slow = bus
        .subscribe_async("label", move |_| {
            let (gate, called) = (gate.clone(), called.clone());
            async move {
                called.notify_one();
                gate.notified().await;
            }
        })
        .await
        .unwrap();
    bus.publish_to_user(1, "label", &0).await.unwrap();
    within("the first call", released.notified()).await;
    for number in 1..=3 {
        bus.publish_to_user(1, "label", &number).await.unwrap();
    }
    assert_eq!(fault(&mut faults).await, FaultKind::Overflowed);
    for _ in 0..2 {
        release.notify_one();
        within("the next call", released.notified()).await;
    }
}

#[tokio::test]
async fn what_is_no_event_is_nobodys() {
    let bus = bus();
    let (_handling, mut hearing) = handled(&bus, "label").await;
    for raw in [
        json!(7),
        json!({ "status": "RUNNING" }),
        json!({ "event": 7 }),
    ] {
        bus.client().publish("user:1", &raw).await.unwrap();
    }
    bus.client()
        .publish("user:1", &json!({ "event": "label" }))
        .await
        .unwrap();
    assert_eq!(
        next(&mut hearing).await.parse::<Value>().unwrap(),
        Value::Null
    );
}

#[test]
fn a_bus_listens_again_in_another_runtime_and_waits_for_no_handler_of_the_last() {
    let bus = bus();
    let mut faults = bus.faults();
    for round in 0..3 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (handling, mut hearing) = handled(&bus, "label").await;
            handling.forever();
            bus.publish_to_user(1, "label", &round).await.unwrap();
            assert_eq!(next(&mut hearing).await.parse::<u64>().unwrap(), round);
        });
    }
    assert!(faults.try_recv().is_err(), "nobody was too slow");
}

/// Lets everyone connect, and nobody subscribe.
struct Forbidding;

impl Authenticate for Forbidding {
    fn authenticate(&self, _shown: Credentials) -> Authenticating<'_> {
        Box::pin(std::future::ready(Ok(Identity::default())))
    }
}

#[tokio::test]
async fn rooms_that_are_refused_are_told_and_asked_for_again() {
    let mut config = Config::default();
    config.access.authenticate = Some(Arc::new(Forbidding));
    let hub = Hub::new(config).unwrap();
    let address = support::serve(tidegate::axum::router(hub.clone())).await;
    let options = ClientOptions::with_token("x");
    let bus = EventBus::new(Client::connect_with(&address, options).await.unwrap());
    let mut faults = bus.faults();
    for _ in 0..2 {
        let _asked = bus.subscribe("label", |_| {}).await.unwrap();
        let mut refused = Vec::new();
        for _ in 0..2 {
            let fault = within("a fault", faults.recv()).await.unwrap();
            assert!(
                matches!(&fault.kind, FaultKind::Refused(error) if error.code == ErrorCode::Forbidden)
            );
            refused.push(fault.room.to_string());
        }
        refused.sort();
        assert_eq!(refused, ["task:*", "user:*"]);
        match bus.subscribe("label", |_| {}).await {
            Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::Forbidden),
            other => panic!("{:?}", other.err()),
        }
    }
}

/// The events that come until the stream ends, or `count` of them.
async fn names(events: &mut ClientSubscription, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count
        && let Some(event) = within("an event", events.next()).await
    {
        match event {
            Event::Publication(publication) => {
                let value: Value = publication.payload.parse().unwrap();
                names.push(value["event"].as_str().unwrap().to_owned());
            }
            Event::End { reason } => names.push(format!("end {}", reason.as_str())),
            other => panic!("{other:?}"),
        }
    }
    names
}

#[tokio::test]
async fn a_tasks_end_ends_its_room_and_not_its_owners() {
    let tasks = TaskEvents::new(bus());
    let client = tasks.bus().client().clone();
    let watch = async |room: &str| client.subscribe(room).await.unwrap();
    let mut task = watch(TaskRoom(TASK.id).topic().as_str()).await;
    let mut owner = watch("user:7").await;
    let status = json!({ "status": "COMPLETE" });
    tasks.created(TASK, &json!({})).await.unwrap();
    tasks.started(TASK, &json!({})).await.unwrap();
    tasks.status(TASK, &status).await.unwrap();
    tasks.completed(TASK, &json!({ "pages": 3 })).await.unwrap();
    let late = tasks.status(TASK, &status).await;
    assert!(
        matches!(late, Err(ClientError::Refused(error)) if error.code == ErrorCode::TopicEnded)
    );
    tasks.deleted(TASK, &json!({})).await.unwrap();
    assert_eq!(
        names(&mut task, 9).await,
        [
            "task:created",
            "task:started",
            "task:status",
            "task:completed",
            "end complete"
        ]
    );
    tasks.created(TASK, &json!({})).await.unwrap();
    assert_eq!(
        names(&mut owner, 6).await,
        [
            "task:created",
            "task:started",
            "task:status",
            "task:completed",
            "task:deleted",
            "task:created"
        ]
    );
}

#[tokio::test]
async fn each_way_that_a_task_can_end_is_told_as_such() {
    let tasks = TaskEvents::new(bus());
    let client = tasks.bus().client().clone();
    for (number, reason) in [(1, EndReason::Failed), (2, EndReason::Cancelled)] {
        let task = Task {
            id: Uuid::from_bytes([number; 16]),
            owner: 1,
        };
        tasks.created(task, &json!({})).await.unwrap();
        match reason {
            EndReason::Failed => tasks.failed(task, &json!({ "why": "x" })).await.unwrap(),
            _ => tasks.cancelled(task, &json!({})).await.unwrap(),
        }
        let mut late = client
            .subscribe(TaskRoom(task.id).topic().as_str())
            .await
            .unwrap();
        let told = names(&mut late, 2).await;
        assert_eq!(told[1], format!("end {}", reason.as_str()));
    }
}

#[tokio::test]
async fn handlers_are_called_once_for_what_is_told_in_two_rooms() {
    let tasks = TaskEvents::new(bus());
    let (_created, mut created) = handled(tasks.bus(), "task:created").await;
    let (_failed, mut failed) = handled(tasks.bus(), "task:failed").await;
    tasks.created(TASK, &json!({ "title": "t" })).await.unwrap();
    tasks.failed(TASK, &json!({})).await.unwrap();
    tasks.created(TASK, &json!({})).await.unwrap();
    assert_eq!(
        next(&mut created).await.parse::<Value>().unwrap(),
        json!({ "title": "t" })
    );
    next(&mut failed).await;
    assert_eq!(
        next(&mut created).await.parse::<Value>().unwrap(),
        json!({})
    );
    assert!(created.try_recv().is_err() && failed.try_recv().is_err());
}
