//! A subscriber that resumes against a history of two publications: every sequence of publishing, ending, breaking and
//! waiting, up to a length. Whatever the sequence, nothing comes twice, and every loss is reported.

use tidegate_core::flow::Flow;
use tidegate_core::hub::ServerConfig;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs, topic};

/// How long sequences are; `TIDEGATE_DEPTH` says another length.
const LENGTH: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish,
    End,
    Cut(Cut),
    /// Long enough for what is on its way, and not to connect again.
    Wait,
    /// Long enough to connect again.
    WaitLong,
}

const STEPS: [Step; 7] = [
    Step::Publish,
    Step::End,
    Step::Cut(Cut::Both),
    Step::Cut(Cut::ServerUnaware),
    Step::Cut(Cut::Silent),
    Step::Wait,
    Step::WaitLong,
];

fn publish(net: &mut Network, end: Option<EndReason>) {
    let request = PublishRequest::new(topic("job:1"), Json::from(0));
    let request = PublishRequest {
        end: end.map(Into::into),
        restart: true,
        ..request
    };
    net.publish_request(request).expect("topics begin anew");
}

fn check(steps: &[Step]) {
    let mut config = ServerConfig::new(3);
    config.hub.history.count_max = 2;
    let mut net = Network::with_config(config);
    net.add_peer(Quality::delayed(ms(5)));
    net.connect(0);
    net.subscribe(0, "job:*", Flow::IMMEDIATE);
    net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(50));
    for step in steps {
        match step {
            Step::Publish => publish(&mut net, None),
            Step::End => publish(&mut net, Some(EndReason::Complete)),
            Step::Cut(cut) => net.cut(0, *cut),
            Step::Wait => net.run_for(ms(20)),
            Step::WaitLong => net.run_for(secs(1)),
        }
    }
    net.run_for(secs(120));
    publish(&mut net, None);
    net.run_for(secs(1));
    net.check_converged();
}

#[test]
fn whatever_the_sequence_a_subscriber_recovers_exactly_or_is_told() {
    let length = std::env::var("TIDEGATE_DEPTH");
    let length = length.map_or(LENGTH, |length| length.parse().expect("a number"));
    let count = STEPS.len().pow(length);
    for number in 0..count {
        let digit = |place: u32| number / STEPS.len().pow(place) % STEPS.len();
        let steps: Vec<Step> = (0..length).map(|place| STEPS[digit(place)]).collect();
        let result = std::panic::catch_unwind(|| check(&steps));
        assert!(result.is_ok(), "{steps:?}");
    }
    eprintln!("{count} sequences of length {length}");
}
