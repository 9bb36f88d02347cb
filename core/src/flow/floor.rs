//! The finest pace that a server allows, by pattern.

use core::time::Duration;

use alloc::vec::Vec;

use super::{Flow, Pace};
use crate::topic::Pattern;

/// The finest pace that subscribers to some topics are granted, whatever they ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowFloor {
    rules: Vec<(Pattern, Duration)>,
}

impl FlowFloor {
    /// No floor: everyone gets the pace that they ask for.
    pub const fn none() -> Self {
        Self { rules: Vec::new() }
    }

    /// Adds a rule: emissions of a topic that matches `pattern` are at least `every` apart.
    #[must_use]
    pub fn with(mut self, pattern: Pattern, every: Duration) -> Self {
        self.rules.push((pattern, every));
        self
    }

    /// The flow that a subscriber to `pattern` is granted if it asks for `flow`: the same, slowed down if a rule for
    /// any of its topics requires that. A subscriber that asks for every publication at once gets the newest at that
    /// pace.
    ///
    /// A flow that is out of range is returned unchanged, so that it is refused.
    pub fn grant(&self, pattern: &Pattern, flow: Flow) -> Flow {
        if flow.validate().is_err() {
            return flow;
        }
        self.rules
            .iter()
            .filter(|(ruled, _)| ruled.overlaps(pattern))
            .map(|(_, every)| *every)
            .max()
            .map_or(flow, |every| slowed(flow, every))
    }
}

fn slowed(flow: Flow, floor: Duration) -> Flow {
    let pace = match flow.pace {
        Pace::Immediate => Pace::Throttle {
            every: floor,
            leading: true,
            trailing: true,
        },
        Pace::Throttle {
            every,
            leading,
            trailing,
        } => Pace::Throttle {
            every: every.max(floor),
            leading,
            trailing,
        },
        Pace::Debounce {
            quiet,
            max_wait,
            leading,
            trailing,
        } => Pace::Debounce {
            quiet: quiet.max(floor),
            max_wait: max_wait.map(|max_wait| max_wait.max(floor)),
            leading,
            trailing,
        },
    };
    Flow { pace, ..flow }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn floor() -> FlowFloor {
        FlowFloor::none()
            .with(Pattern::new("job:*").unwrap(), SECOND / 10)
            .with(Pattern::new("job:big").unwrap(), SECOND)
    }

    fn granted(pattern: &str, flow: Flow) -> Flow {
        floor().grant(&Pattern::new(pattern).unwrap(), flow)
    }

    #[test]
    fn the_slowest_rule_that_touches_a_subscription_holds() {
        assert_eq!(
            granted("job:1", Flow::IMMEDIATE),
            Flow::throttle(SECOND / 10)
        );
        assert_eq!(granted("job:big", Flow::IMMEDIATE), Flow::throttle(SECOND));
        assert_eq!(granted("job:*", Flow::IMMEDIATE), Flow::throttle(SECOND));
        assert_eq!(granted("**", Flow::IMMEDIATE), Flow::throttle(SECOND));
        assert_eq!(granted("task:1", Flow::IMMEDIATE), Flow::IMMEDIATE);
    }

    #[test]
    fn whoever_asks_for_less_gets_less() {
        let slow = Flow::throttle(SECOND * 5);
        assert_eq!(granted("job:1", slow), slow);
        let quiet = Flow::debounce(SECOND / 100);
        assert_eq!(granted("job:1", quiet), Flow::debounce(SECOND / 10));
    }
}
