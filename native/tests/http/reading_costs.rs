//! What reading over HTTP costs the backend, and those who share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::fragile::{Fragile, WRONG_TOPIC};
use crate::support::http::get;
use crate::support::{config, serve, within};
use futures_util::StreamExt as _;
use tidegate::{BackendLink, Event, Hub};

/// A hub and its server, on a backend that counts the topics that it lists.
async fn counted() -> (Hub, String, Arc<AtomicUsize>) {
    let listed = Arc::new(AtomicUsize::new(0));
    let backend = Fragile::new(&Arc::new(AtomicBool::new(false))).counted(&listed);
    let hub = Hub::with_backend(config(), Arc::new(backend)).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address, listed)
}

#[tokio::test]
async fn a_part_of_a_long_list_costs_a_part_of_it() {
    const TOPICS: usize = 300;
    let (hub, address, listed) = counted().await;
    for number in 0..TOPICS {
        hub.publish(&format!("job:{number}"), &number)
            .await
            .unwrap();
    }
    let (mut told, mut parts, mut after) = (0, 0, String::new());
    loop {
        let path = format!("/latest?topic=job:*&limit=50{after}");
        let answer = get(&address, &path).await.json();
        let publications = answer["publications"].as_array().unwrap();
        told += publications.len();
        parts += 1;
        if answer["more"] == false {
            break;
        }
        let last = publications.last().unwrap()["topic"].as_str().unwrap();
        after = format!("&after={last}");
    }
    assert_eq!((told, parts), (TOPICS, 6));
    // Each part is followed by one topic that shows that there are more.
    assert_eq!(listed.load(Ordering::SeqCst), TOPICS + parts - 1);
}

#[tokio::test]
async fn what_the_backend_refuses_to_tell_is_refused_to_who_asks_and_the_link_stands() {
    let (hub, address, _) = counted().await;
    let mut followed = hub.subscribe("job:1").await.unwrap();
    for path in ["/latest", "/history"] {
        let answer = get(&address, &format!("{path}?topic={WRONG_TOPIC}")).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "refused");
        assert!(
            error["message"].as_str().unwrap().contains("log"),
            "{error}"
        );
        let other = get(&address, "/latest?topic=job:1").await;
        assert_eq!(other.status, 200, "{other:?}");
    }
    let health = hub.backend().unwrap().borrow().clone();
    assert_eq!((health.link, health.last_error), (BackendLink::Live, None));
    hub.publish("job:1", &1).await.unwrap();
    let event = within("a publication", followed.next()).await;
    // Nobody was told that the link was lost.
    assert!(matches!(event, Some(Event::Publication(_))), "{event:?}");
}
