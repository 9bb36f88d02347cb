//! Devices that come and go, servers that die, and publications that must arrive nevertheless.

use proptest::prelude::*;
use tidegate_tests::durable_model::World;

const TOPICS: [&str; 2] = ["user:7", "user:8"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish(usize),
    Carry(usize),
    Handle,
    Fail,
    Pass(u64),
    Cut,
    Kill,
    LoseBackend,
    RestartDevice,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TOPICS.len()).prop_map(Step::Publish),
        6 => (1..20_usize).prop_map(Step::Carry),
        6 => Just(Step::Handle),
        1 => Just(Step::Fail),
        4 => (1..3_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Cut),
        1 => Just(Step::Kill),
        1 => Just(Step::LoseBackend),
        1 => Just(Step::RestartDevice),
    ]
}

fn take_steps(world: &mut World, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Publish(index) => world.publish(TOPICS[index]),
            Step::Carry(count) => world.carry(count),
            Step::Handle => world.handle(true),
            Step::Fail => world.handle(false),
            Step::Pass(millis) => world.pass(millis),
            Step::Cut => world.cut(),
            Step::Kill => world.kill(),
            Step::LoseBackend => world.lose_backend(),
            Step::RestartDevice => world.restart_device(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever dies and whatever is lost, everything is processed at least once, nothing is delivered twice within a
    /// life, and processed publications don't come back once that is stored.
    #[test]
    fn everything_kept_is_dealt_with(
        steps in prop::collection::vec(any_step(), 1..120),
        is_wild in any::<bool>(),
    ) {
        let (to, topics) = if is_wild { ("user:*", &TOPICS[..]) } else { ("user:7", &TOPICS[..1]) };
        let mut world = World::new(to, 10_000);
        world.calm_down();
        take_steps(&mut world, &steps);
        world.calm_down();
        prop_assert_eq!(world.device.resets, 0, "nothing was lost, so nothing is to be told");
        world.restart_device();
        world.calm_down();
        prop_assert_eq!(world.device.resets, 0);
        prop_assert_eq!(&world.handled, &world.numbers_of(topics));
        world.restart_device();
        world.calm_down();
        prop_assert_eq!(world.device.deliveries, 0, "what was dealt with came back");
    }

    /// A device gets an unknown topic from its beginning. If the topic has begun a new epoch since, or keeps less, the device
    /// gets one reset, because what was before is gone.
    #[test]
    fn what_began_and_ended_in_absence_is_given_or_told_as_lost(
        others_ends in 0..3_usize,
        ends in 1..4_usize,
        lengths in prop::collection::vec(0..4_usize, 4),
        kept in 1..6_usize,
    ) {
        let mut world = World::new("user:*", kept);
        for _ in 0..others_ends {
            world.publish_end("user:7");
        }
        world.publish_end("user:7");
        world.calm_down();
        prop_assert_eq!(world.device.resets, 0, "what was before the device is no loss");
        world.drop_connection();
        for length in &lengths[..ends] {
            for _ in 0..*length {
                world.publish("user:9");
            }
            world.publish_end("user:9");
        }
        world.replace_servers();
        world.restart_device();
        world.calm_down();
        let last = lengths[ends - 1] + 1;
        prop_assert_eq!(world.device.resets, usize::from(ends > 1 || last > kept));
        prop_assert_eq!(world.device.deliveries, last.min(kept));
        world.restart_device();
        world.calm_down();
        prop_assert_eq!((world.device.resets, world.device.deliveries), (0, 0));
    }

    /// If topics keep less than a device misses, it gets a reset, and then everything that they keep.
    #[test]
    fn what_is_not_kept_is_told(missed in 0..40_u64, kept in 1..20_usize) {
        let mut world = World::new("user:7", kept);
        world.publish("user:7");
        world.calm_down();
        world.drop_connection();
        for _ in 0..missed {
            world.publish("user:7");
        }
        world.replace_servers();
        world.restart_device();
        world.calm_down();
        let kept = u64::try_from(kept).expect("few");
        prop_assert_eq!(world.device.resets, usize::from(missed > kept));
        prop_assert_eq!(world.device.deliveries as u64, missed.min(kept));
        prop_assert!(world.handled.contains(&world.published));
    }
}
