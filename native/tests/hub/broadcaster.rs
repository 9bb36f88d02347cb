//! Jobs with typed updates.

use crate::support;
use std::sync::Arc;

use crate::support::{config, within};
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::backend::{Keep, Memory};
use tidegate::broadcaster::{JobError, JobUpdates};
use tidegate::client::ClientError;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::ErrorCode;
use tidegate::{Broadcaster, Client, Hub, JobUpdate, Publish};

fn hub() -> Hub {
    Hub::new(config()).unwrap()
}

fn jobs_of(hub: &Hub) -> Broadcaster {
    Broadcaster::from_hub(hub.clone()).unwrap()
}

async fn next(updates: &mut JobUpdates) -> Option<Result<JobUpdate, JobError>> {
    within("an update", updates.next()).await
}

async fn update(updates: &mut JobUpdates) -> JobUpdate {
    next(updates).await.expect("an update").unwrap()
}

#[tokio::test]
async fn a_job_is_followed_to_each_of_its_ends() {
    let jobs = jobs_of(&hub());
    for (id, last, reason) in [
        ("1", JobUpdate::complete(), EndReason::Complete),
        ("2", JobUpdate::failed("no room"), EndReason::Failed),
        ("3", JobUpdate::cancelled(), EndReason::Cancelled),
        ("4", JobUpdate::new("cOmPlEtE"), EndReason::Complete),
    ] {
        let mut updates = jobs.subscribe(id).await.unwrap();
        let half = JobUpdate::running().with_progress(0.5).with_message("half");
        assert_eq!(jobs.send(id, half.clone()).await.unwrap().offset, 1);
        let mut told = half;
        told.job_id = id.to_owned();
        assert_eq!(update(&mut updates).await, told);
        jobs.send(id, last.clone()).await.unwrap();
        let end = update(&mut updates).await;
        assert_eq!((end.end(), &end.status), (Some(reason), &last.status));
        assert_eq!(end.message, last.message);
        assert!(next(&mut updates).await.is_none());
        assert!(next(&mut updates).await.is_none());
        // Late subscribers get the end, too.
        let mut late = jobs.subscribe(id).await.unwrap();
        assert_eq!(update(&mut late).await, end);
        assert!(next(&mut late).await.is_none());
    }
}

#[tokio::test]
async fn a_job_that_has_ended_begins_anew_only_when_it_is_started() {
    let jobs = jobs_of(&hub());
    jobs.send("1", JobUpdate::complete()).await.unwrap();
    match jobs.send("1", JobUpdate::running()).await {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::TopicEnded),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        jobs.start("1", JobUpdate::running()).await.unwrap().offset,
        1
    );
    let mut updates = jobs.subscribe("1").await.unwrap();
    assert_eq!(update(&mut updates).await.status, "RUNNING");
}

#[tokio::test]
async fn what_an_application_adds_is_kept() {
    let jobs = jobs_of(&hub());
    let mut updates = jobs.subscribe("1").await.unwrap();
    let sent = JobUpdate::new("RENDERING")
        .with("pages", 12)
        .with("urls", json!(["/a"]));
    jobs.send("1", sent.clone()).await.unwrap();
    let told = update(&mut updates).await;
    assert_eq!((&told.status, told.end()), (&sent.status, None));
    assert_eq!(told.extra, sent.extra);
    let text = serde_json::to_value(&told).unwrap();
    assert_eq!(
        text,
        json!({"job_id": "1", "status": "RENDERING", "pages": 12, "urls": ["/a"]})
    );
}

#[tokio::test]
async fn a_field_that_is_given_by_its_name_is_told_once() {
    let jobs = jobs_of(&hub());
    let mut updates = jobs.subscribe("1").await.unwrap();
    let mut sent = JobUpdate::running()
        .with("job_id", "another")
        .with("progress", 1)
        .with("message", "half")
        .with("message", json!({"of": "another form"}))
        .with("status", "COMPLETE")
        .with("status", 7)
        .with("pages", 12);
    assert_eq!(
        (sent.job_id.as_str(), sent.progress),
        ("another", Some(1.0))
    );
    assert_eq!(sent.message.as_deref(), Some("half"));
    assert_eq!(sent.end(), Some(EndReason::Complete));
    // Members that were inserted by hand don't override the fields either.
    sent.extra.insert("status".to_owned(), json!("RUNNING"));
    sent.extra.insert("job_id".to_owned(), json!("2"));
    jobs.send("1", sent).await.unwrap();
    let told = update(&mut updates).await;
    assert_eq!(
        (told.job_id.as_str(), told.status.as_str()),
        ("1", "COMPLETE")
    );
    assert_eq!(told.extra.keys().collect::<Vec<_>>(), ["pages"]);
    assert!(next(&mut updates).await.is_none());
}

#[tokio::test]
async fn a_part_that_is_no_number_is_no_part() {
    for no_number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let update = JobUpdate::running().with_progress(0.5);
        assert_eq!(update.with_progress(no_number).progress, None);
    }
    assert_eq!(JobUpdate::running().with_progress(7.0).progress, Some(7.0));
}

#[tokio::test]
async fn what_others_publish_is_read_as_far_as_it_says_something() {
    let hub = hub();
    let jobs = jobs_of(&hub);
    let mut updates = jobs.subscribe("7").await.unwrap();
    hub.publish("job:7", &json!({"progress": 1, "message": null}))
        .await
        .unwrap();
    let told = update(&mut updates).await;
    assert_eq!(
        (told.job_id.as_str(), told.status.as_str(), told.progress),
        ("7", "RUNNING", Some(1.0))
    );
    hub.publish("job:7", &json!({"job_id": 7, "status": "x"}))
        .await
        .unwrap();
    assert_eq!(update(&mut updates).await.job_id, "7");
    for other in [
        json!(0.5),
        json!([]),
        json!({"status": 1}),
        json!({"job_id": {}}),
    ] {
        let position = hub.publish("job:7", &other).await.unwrap();
        match next(&mut updates).await {
            Some(Err(JobError::NoUpdate { topic, offset, .. })) => {
                assert_eq!((topic.as_str(), offset), ("job:7", position.offset));
            }
            told => panic!("{other}: {told:?}"),
        }
    }
    let last = Publish::end(EndReason::Failed);
    hub.publish_with("job:7", &json!({"progress": 0.5}), last)
        .await
        .unwrap();
    assert_eq!(update(&mut updates).await.status, "FAILED");
    assert!(next(&mut updates).await.is_none());
}

#[tokio::test]
async fn a_job_goes_on_whose_failure_is_said_to_be_no_end() {
    let hub = hub();
    let jobs = jobs_of(&hub);
    let mut updates = jobs.subscribe("7").await.unwrap();
    hub.publish_with("job:7", &json!({"status": "FAILED"}), Publish::no_end())
        .await
        .unwrap();
    jobs.send("7", JobUpdate::complete()).await.unwrap();
    assert_eq!(update(&mut updates).await.status, "FAILED");
    assert_eq!(update(&mut updates).await.status, "COMPLETE");
    assert!(next(&mut updates).await.is_none());
}

#[tokio::test]
async fn an_end_without_an_update_ends_the_stream_as_well() {
    let hub = hub();
    let mut updates = jobs_of(&hub).subscribe("7").await.unwrap();
    let last = Publish::end(EndReason::Complete);
    hub.publish_with("job:7", &"done", last).await.unwrap();
    let told = next(&mut updates).await;
    assert!(
        matches!(told, Some(Err(JobError::NoUpdate { .. }))),
        "{told:?}"
    );
    assert!(next(&mut updates).await.is_none());
}

#[tokio::test]
async fn a_stream_that_is_cut_off_before_the_job_ends_says_so() {
    let hub = hub();
    let address = support::serve(tidegate::axum::router(hub.clone())).await;
    let near = jobs_of(&hub);
    let far = Broadcaster::new(Client::connect(&address).await.unwrap());
    let mut closed = [
        near.subscribe("7").await.unwrap(),
        far.subscribe("7").await.unwrap(),
    ];
    let mut stopped = jobs_of(&hub).subscribe("7").await.unwrap();
    let done = jobs_of(&hub).subscribe("8").await.unwrap();
    near.send("7", JobUpdate::running().with_progress(0.2))
        .await
        .unwrap();
    near.send("8", JobUpdate::complete()).await.unwrap();
    for updates in closed.iter_mut().chain([&mut stopped]) {
        assert_eq!(update(updates).await.progress, Some(0.2));
    }
    near.client().close();
    far.client().close();
    for updates in &mut closed {
        is_cut(updates).await;
    }
    hub.stop();
    is_cut(&mut stopped).await;
    // Jobs that have ended before the hub stops are delivered as ever.
    let told: Vec<_> = within("the end", done.collect()).await;
    assert!(matches!(&told[..], [Ok(end)] if end.status == "COMPLETE"));
}

async fn is_cut(updates: &mut JobUpdates) {
    match next(updates).await {
        Some(Err(JobError::Cut { job_id })) => assert_eq!(job_id, "7"),
        told => panic!("{told:?}"),
    }
    assert!(next(updates).await.is_none());
}

#[tokio::test]
async fn an_id_names_one_job_and_no_pattern() {
    let jobs = jobs_of(&hub());
    for id in ["", "*", "**", "a:b", "a b"] {
        let refused = jobs.send(id, JobUpdate::running()).await;
        assert!(matches!(refused, Err(ClientError::Topic(_))), "{id:?}");
        let refused = jobs.subscribe(id).await.err();
        assert!(matches!(refused, Some(ClientError::Topic(_))), "{id:?}");
    }
}

#[tokio::test]
async fn jobs_are_followed_through_a_backend_and_through_a_server() {
    let backend = Memory::new(Keep::default());
    let client = || Client::with_backend(Arc::new(backend.share())).unwrap();
    let hub = Hub::with_backend(config(), Arc::new(backend.share())).unwrap();
    let address = support::serve(tidegate::axum::router(hub)).await;
    let mut watching = Vec::new();
    for client in [client(), Client::connect(&address).await.unwrap()] {
        let jobs = Broadcaster::new(client);
        watching.push(jobs.subscribe("42").await.unwrap());
    }
    let publisher = Broadcaster::new(client());
    publisher.send("42", JobUpdate::running()).await.unwrap();
    for updates in &mut watching {
        assert_eq!(update(updates).await.status, "RUNNING");
    }
    publisher.send("42", JobUpdate::complete()).await.unwrap();
    for updates in &mut watching {
        assert_eq!(update(updates).await.status, "COMPLETE");
        assert!(next(updates).await.is_none());
    }
}
