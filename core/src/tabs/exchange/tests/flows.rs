//! What the server is asked for on behalf of all.

use super::*;

fn merged() -> Flow {
    throttled().with_conflate(Conflate::Merge)
}

/// The starts with which the server was asked again.
fn starts(sent: &[ClientFrame<()>]) -> Vec<Start> {
    let asked = sent.iter().filter_map(|frame| match frame {
        ClientFrame::Subscribe(request) => Some(request.start.clone()),
        _ => None,
    });
    asked.collect()
}

/// The flows that the server was asked for.
fn flows(sent: &[ClientFrame<()>]) -> Vec<Flow> {
    let told = sent.iter().filter_map(|frame| match frame {
        ClientFrame::Flow { flow, .. } => Some(*flow),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_is_held_back_as_the_latest_is_asked_for_anew_once_somebody_wants_all() {
    let slow = Flow::throttle(Duration::from_secs(9));
    // The first member's flow, another member's, and the first member's next one; whether the subscription is requested
    // again, and which flow is requested otherwise.
    let cases = [
        (throttled(), None, Flow::IMMEDIATE, true, None),
        (slow, Some(slow), Flow::IMMEDIATE, true, None),
        (slow, Some(slow), throttled(), false, Some(throttled())),
        (
            throttled(),
            Some(Flow::IMMEDIATE),
            Flow::IMMEDIATE,
            false,
            None,
        ),
        (Flow::IMMEDIATE, None, throttled(), false, Some(throttled())),
        (
            Flow::IMMEDIATE,
            Some(Flow::IMMEDIATE),
            throttled(),
            false,
            None,
        ),
        (
            summed(),
            None,
            Flow::IMMEDIATE,
            false,
            Some(Flow::IMMEDIATE),
        ),
        (
            merged(),
            None,
            Flow::IMMEDIATE,
            false,
            Some(Flow::IMMEDIATE),
        ),
    ];
    for (to, seen) in [
        ("job:1", true),
        ("job:1", false),
        ("job:*", true),
        ("job:*", false),
    ] {
        for (flow, beside, next, is_anew, told) in cases {
            let mut scene = Scene::new(to);
            scene.subscribe(A, flow, Start::Latest);
            if let Some(beside) = beside {
                scene.subscribe(B, beside, Start::Latest);
            }
            scene.confirm(3);
            if seen {
                scene.publish(3);
            }
            scene.told_all();
            scene.sent();
            let pattern = scene.pattern.clone();
            scene.say(
                A,
                ClientFrame::Flow {
                    pattern,
                    flow: next,
                },
            );
            let sent = scene.sent();
            let start = match (seen, to) {
                (true, _) => since("job:1", 3),
                (false, "job:1") => Start::Latest,
                (false, _) => Start::Since(Vec::new()),
            };
            let anew = is_anew.then_some(start);
            assert_eq!(
                starts(&sent),
                Vec::from_iter(anew),
                "{to} {flow:?} {beside:?} {next:?}"
            );
            assert_eq!(
                flows(&sent),
                Vec::from_iter(told),
                "{to} {flow:?} {beside:?} {next:?}"
            );
            if is_anew && seen {
                scene.confirm_again(3);
                scene.told(C);
                scene.subscribe(C, Flow::IMMEDIATE, Start::Latest);
                assert_eq!(scene.told(C), [Stands(true), At(3)], "{to}");
            }
        }
    }
}

#[test]
fn while_it_goes_back_all_is_sent_as_it_is_and_nothing_is_asked_for_beside() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, throttled(), Start::Latest);
    scene.confirm(2);
    scene.publish(3);
    scene.sent();
    let request = SubscribeRequest {
        durable: DurableName::new("phone").ok(),
        ..scene.ask(throttled(), Start::Latest)
    };
    scene.say(B, ClientFrame::Subscribe(request));
    let sent = scene.sent();
    assert_eq!(flows(&sent), [Flow::IMMEDIATE]);
    assert_eq!(starts(&sent).len(), 1, "from the cursor");
    let pattern = scene.pattern.clone();
    let flow = Flow::IMMEDIATE;
    scene.say(A, ClientFrame::Flow { pattern, flow });
    assert_eq!(scene.sent(), []);
}

#[test]
fn a_device_deals_with_each_publication_whatever_others_add_up() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, summed(), Start::Latest);
    scene.confirm(0);
    scene.sent();
    let request = SubscribeRequest {
        durable: DurableName::new("phone").ok(),
        ..scene.ask(summed(), Start::Latest)
    };
    scene.say(B, ClientFrame::Subscribe(request));
    assert_eq!(flows(&scene.sent()), [Flow::IMMEDIATE]);
    scene.confirm(0);
    scene.answer();
    assert_eq!(flows(&scene.sent()), [], "nor once it is there");
    scene.unsubscribe(B);
    assert_eq!(flows(&scene.sent()), [summed()]);
}

#[test]
fn who_deals_with_each_publication_lets_none_be_dropped_nor_do_those_beside() {
    let slow = |scene: &Scene, durable: Option<&str>| SubscribeRequest {
        slow: Some(Slow::Conflate),
        durable: durable.and_then(|name| DurableName::new(name).ok()),
        ..scene.ask(Flow::IMMEDIATE, Start::Latest)
    };
    let mut scene = Scene::new("job:1");
    let request = slow(&scene, Some("phone"));
    scene.say(A, ClientFrame::Subscribe(request));
    assert_eq!(scene.told(A), [Failed(ErrorCode::BadFlow)]);
    assert_eq!(scene.exchange.patterns(), 0);
    scene.subscribe_as(B, "phone", Start::Latest);
    let request = slow(&scene, None);
    scene.say(C, ClientFrame::Subscribe(request));
    assert_eq!(scene.told(C), [Failed(ErrorCode::BadFlow)]);
    scene.subscribe(C, Flow::IMMEDIATE, Start::Latest);
    assert_eq!(scene.told(C), []);

    // Nor does a member become a device beside one that lets publications be dropped: the server would refuse both.
    let mut scene = Scene::new("job:1");
    let request = slow(&scene, None);
    scene.say(A, ClientFrame::Subscribe(request));
    scene.confirm(0);
    scene.told(A);
    scene.sent();
    scene.subscribe_as(B, "phone", Start::Latest);
    assert_eq!(scene.told(B), [Failed(ErrorCode::BadFlow)]);
    assert_eq!((scene.told(A), scene.sent()), (vec![], vec![]));
    scene.unsubscribe(A);
    scene.subscribe_as(B, "phone", Start::Latest);
    assert_eq!(scene.told(B), []);
}

#[test]
fn while_the_connection_is_behind_what_loses_least_becomes_of_publications() {
    let slow = |sent: Vec<ClientFrame<()>>| -> Vec<Option<Slow>> {
        let asked = sent.into_iter().filter_map(|frame| match frame {
            ClientFrame::Subscribe(request) => Some(request.slow),
            _ => None,
        });
        asked.collect()
    };
    let least = Slow::Drop.max(Slow::Conflate);
    let mut scene = Scene::new("job:1");
    for (member, said, asked) in [
        (A, Some(Slow::Conflate), &[Some(Slow::Conflate)][..]),
        (B, Some(Slow::Conflate), &[]),
        (C, None, &[Some(least)]),
    ] {
        let request = SubscribeRequest {
            slow: said,
            ..scene.ask(Flow::IMMEDIATE, Start::Latest)
        };
        scene.say(member, ClientFrame::Subscribe(request));
        assert_eq!(slow(scene.sent()), asked, "{member:?}");
        scene.confirm_again(0);
    }
    scene.unsubscribe(A);
    assert_eq!(slow(scene.sent()), []);
    scene.unsubscribe(B);
    assert_eq!(slow(scene.sent()), [None], "nobody has said anything");
}
