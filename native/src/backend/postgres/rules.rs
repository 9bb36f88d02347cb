//! What topics keep, in the form for the database's functions: patterns as regular expressions, of which the first that matches applies.

use std::time::Duration;

use tidegate_core::history::HistoryLimits;
use tidegate_core::topic::{Pattern, Segment};

use super::upkeep::seconds;
use crate::backend::Keep;

/// One list for each column. The last rule applies to all other topics.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rules {
    pub(super) patterns: Vec<String>,
    pub(super) counts: Vec<i64>,
    pub(super) sizes: Vec<i64>,
    /// In seconds, like `retentions`.
    pub(super) ages: Vec<f64>,
    pub(super) retentions: Vec<f64>,
}

impl Rules {
    pub(super) fn of(keep: &Keep) -> Self {
        let mut rules = Self::default();
        for (pattern, limits) in keep.histories.iter() {
            rules.push(regular_expression(pattern), limits, keep.retention);
        }
        rules.push(String::new(), &keep.history, keep.retention);
        rules
    }

    fn push(&mut self, pattern: String, limits: &HistoryLimits, retention: Duration) {
        let number = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        let is_rule = !pattern.is_empty();
        let age_max = if is_rule {
            limits.age_max
        } else {
            Duration::ZERO
        };
        self.patterns.push(pattern);
        self.counts.push(number(limits.count_max));
        self.sizes.push(number(limits.bytes_max));
        self.ages.push(seconds(limits.age_max));
        self.retentions.push(seconds(retention.max(age_max)));
    }
}

/// A regular expression that matches the same topics as a pattern.
fn regular_expression(pattern: &Pattern) -> String {
    let mut text = String::from("^");
    for (index, segment) in pattern.segments().enumerate() {
        if index > 0 {
            text.push(':');
        }
        match segment {
            Segment::Literal(literal) => text.extend(literal.chars().flat_map(|it| {
                let is_special = it.is_ascii_punctuation();
                is_special.then_some('\\').into_iter().chain([it])
            })),
            Segment::One => text.push_str("[^:]+"),
            Segment::Many => text.push_str(".+"),
        }
    }
    text.push('$');
    text
}

#[cfg(test)]
mod tests {
    use tidegate_core::history::HistoryRules;

    use super::*;

    #[test]
    fn patterns_become_regular_expressions_and_the_last_rule_is_everybody_elses() {
        let long = HistoryLimits {
            count_max: 1000,
            age_max: Duration::from_secs(7 * 24 * 3600),
            ..HistoryLimits::default()
        };
        let quick = HistoryLimits {
            age_max: Duration::from_secs(1),
            ..HistoryLimits::default()
        };
        let rule = |text| Pattern::new(text).expect("valid");
        let keep = Keep {
            histories: HistoryRules::none()
                .with(rule("user:*"), long)
                .with(rule("a.b+(c):*:é:**"), quick),
            ..Keep::default()
        };
        let rules = Rules::of(&keep);
        let expected = ["^user:[^:]+$", r"^a\.b\+\(c\):[^:]+:é:.+$", ""];
        assert_eq!(rules.patterns, expected);
        assert_eq!(rules.counts, [1000, 256, 256]);
        assert_eq!(rules.ages, [604_800.0, 1.0, 600.0]);
        assert_eq!(rules.retentions, [604_800.0, 86_400.0, 86_400.0]);
    }
}
