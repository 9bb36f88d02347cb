//! Slow providers, in virtual time.

use tokio::net::TcpListener;

use super::*;

/// Keys of a provider that accepts connections, and never answers.
async fn silent() -> (Remote, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let source = Source::Set(KeySetUrl::parse(&url).unwrap());
    (Remote::new(source, Trust::default()), listener)
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_silent_provider_is_told_before_they_are_given_up() {
    let (remote, _listener) = silent().await;
    let began = tokio::time::Instant::now();
    for waits in 1..=2 {
        remote.fetch_for_unknown().await;
        assert_eq!(began.elapsed().as_secs(), waits * WAIT_MAX.as_secs());
    }
    assert!(!remote.is_sure() && remote.keys().is_empty());
    // The fetch in progress has failed by then.
    remote.fetch_for_unknown().await;
    assert!(began.elapsed() < WAIT_MAX * 3);
    let health = remote.health();
    let error = health.last_error.expect("it took too long");
    assert!(error.contains("no answer within 10 s"), "{error}");
    assert_eq!((health.count, health.age), (0, None));
}

#[tokio::test]
async fn nobody_fetches_for_keys_that_nobody_has_any_more() {
    let (remote, listener) = silent().await;
    remote.fetch_now();
    let (mut connection, _) = listener.accept().await.unwrap();
    drop(remote);
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut rest)
        .await
        .unwrap();
}
