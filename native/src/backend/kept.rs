//! What servers write to a backend, so that programs that use it without being a server keep the same as servers do.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_core::durable::CursorLimits;
use tidegate_core::history::{HistoryLimits, HistoryRules};
use tidegate_core::lifecycle::{EndReason, TerminalRule};
use tidegate_core::topic::Pattern;

use super::Keep;

/// What a backend keeps, as far as this program knows.
#[derive(Debug)]
pub(super) struct Kept {
    now: RwLock<Arc<Keep>>,
    stored: RwLock<String>,
    is_as_servers_say: bool,
}

impl Kept {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            is_as_servers_say: keep.is_as_servers_say,
            now: RwLock::new(Arc::new(keep)),
            stored: RwLock::default(),
        }
    }

    pub(super) fn get(&self) -> Arc<Keep> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now)
    }

    /// What a server has to write; `None` if this program goes by what servers have written.
    pub(super) fn to_write(&self) -> Option<String> {
        (!self.is_as_servers_say).then(|| self.get().to_text())
    }

    /// Takes over what a server has written.
    pub(super) fn update(&self, text: &str) {
        let mut stored = self.stored.write().unwrap_or_else(PoisonError::into_inner);
        if *stored == text {
            return;
        }
        text.clone_into(&mut stored);
        if let Some(said) = Keep::from_text(text) {
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(said);
        }
    }
}

/// The stored form. Members that a later version adds are ignored.
#[derive(Serialize, Deserialize)]
struct StoredKeep {
    history: Limits,
    /// By patterns.
    histories: Vec<(String, Limits)>,
    retention_ms: u64,
    payload_bytes_max: usize,
    terminal: Option<Terminal>,
    cursors: Cursors,
}

#[derive(Serialize, Deserialize)]
struct Limits {
    count_max: usize,
    bytes_max: usize,
    age_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Terminal {
    field: String,
    words: Vec<(String, EndReason)>,
}

#[derive(Serialize, Deserialize)]
struct Cursors {
    age_ms: u64,
    per_user_max: usize,
    total_max: usize,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&HistoryLimits> for Limits {
    fn from(limits: &HistoryLimits) -> Self {
        Self {
            count_max: limits.count_max,
            bytes_max: limits.bytes_max,
            age_ms: millis(limits.age_max),
        }
    }
}

impl From<Limits> for HistoryLimits {
    fn from(said: Limits) -> Self {
        Self {
            count_max: said.count_max,
            bytes_max: said.bytes_max,
            age_max: Duration::from_millis(said.age_ms),
        }
    }
}

impl Keep {
    pub(super) fn to_text(&self) -> String {
        let rules = self.histories.iter();
        let said = StoredKeep {
            history: (&self.history).into(),
            histories: rules
                .map(|(pattern, limits)| (pattern.to_string(), limits.into()))
                .collect(),
            retention_ms: millis(self.retention),
            payload_bytes_max: self.payload_bytes_max,
            terminal: self.terminal_rule.as_ref().map(|rule| Terminal {
                field: rule.field().to_owned(),
                words: rule
                    .words()
                    .map(|(word, end)| (word.to_owned(), end))
                    .collect(),
            }),
            cursors: Cursors {
                age_ms: millis(self.cursors.age_max),
                per_user_max: self.cursors.per_user_max,
                total_max: self.cursors.total_max,
            },
        };
        serde_json::to_string(&said).expect("numbers and texts have a JSON form")
    }

    /// Parses what a server has written; `None` if it can't be understood.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let said: StoredKeep = serde_json::from_str(text).ok()?;
        let mut histories = HistoryRules::none();
        for (pattern, limits) in said.histories {
            histories = histories.with(Pattern::new(&pattern).ok()?, limits.into());
        }
        let terminal_rule = said.terminal.map(|terminal| {
            let words = terminal.words.into_iter();
            words.fold(TerminalRule::new(terminal.field), |rule, (word, end)| {
                rule.with_word(word, end)
            })
        });
        Some(Self {
            history: said.history.into(),
            histories,
            retention: Duration::from_millis(said.retention_ms),
            payload_bytes_max: said.payload_bytes_max,
            terminal_rule,
            cursors: CursorLimits {
                age_max: Duration::from_millis(said.cursors.age_ms),
                per_user_max: said.cursors.per_user_max,
                total_max: said.cursors.total_max,
            },
            is_as_servers_say: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_server_says_another_program_keeps() {
        let week = HistoryLimits {
            count_max: 1000,
            bytes_max: usize::MAX,
            age_max: Duration::from_secs(7 * 24 * 3600),
        };
        let pattern = |text| Pattern::new(text).expect("a pattern");
        let server = Keep {
            histories: HistoryRules::none()
                .with(pattern("user:*"), week)
                .with(pattern("**"), HistoryLimits::default()),
            retention: Duration::from_millis(1),
            payload_bytes_max: 5,
            terminal_rule: Some(TerminalRule::new("state").with_word("over", EndReason::Complete)),
            cursors: CursorLimits {
                per_user_max: 3,
                ..CursorLimits::default()
            },
            ..Keep::default()
        };
        for server in [
            server,
            Keep::default(),
            Keep {
                terminal_rule: None,
                ..Keep::default()
            },
        ] {
            let kept = Kept::new(Keep::as_servers_say());
            assert_eq!(kept.to_write(), None);
            assert_eq!(
                kept.get().history_of(&"user:1".parse().unwrap()),
                HistoryLimits::default()
            );
            kept.update(
                &Kept::new(server.clone())
                    .to_write()
                    .expect("it is a server"),
            );
            kept.update("what nobody understands");
            assert_eq!(
                *kept.get(),
                Keep {
                    is_as_servers_say: true,
                    ..server
                }
            );
        }
    }
}
