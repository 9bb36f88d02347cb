//! The cursors of durable subscriptions.

use futures_util::future::try_join_all;
use redis::Value;
use tidegate_core::durable::{Cursor, CursorAnswer, CursorCall, Remembered, owner_of};
use tidegate_core::protocol::TopicPosition;

use super::call::{CURSORS, Call};
use super::error::{is_of_keys, server_error, text, unexpected};
use super::link::Link;
use crate::Json;
use crate::backend::BackendError;
use crate::backend::remembered::remembered;

impl Link {
    /// Carries out calls: one pipeline for each partition, concurrently. Calls about the same cursor keep their order.
    pub(super) async fn cursors(
        &self,
        calls: &[CursorCall],
    ) -> Result<Vec<CursorAnswer>, BackendError> {
        let layout = &self.shared.layout;
        let mut parts: Vec<(Vec<usize>, Vec<Call>)> = Vec::new();
        parts.resize_with(layout.partitions().len(), Default::default);
        for (at, call) in calls.iter().enumerate() {
            let (places, scripts) = &mut parts[layout.partition(&place_of(call))];
            places.push(at);
            scripts.push(self.cursor_call(call));
        }
        let used = parts
            .iter()
            .enumerate()
            .filter(|(_, (places, _))| !places.is_empty());
        let run = used.map(|(partition, (places, scripts))| async move {
            let values = self.run(partition, scripts).await?;
            let asked = places.iter().map(|place| &calls[*place]);
            let answers: Result<Vec<_>, _> = asked
                .zip(values)
                .map(|(call, value)| self.cursor_answer(call, value))
                .collect();
            Ok::<_, BackendError>((places, answers?))
        });
        let mut answers: Vec<Option<CursorAnswer>> = vec![None; calls.len()];
        for (places, part) in try_join_all(run).await? {
            for (place, answer) in places.iter().zip(part) {
                answers[*place] = Some(answer);
            }
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| unexpected(self.name(), "an answer is missing"))
    }

    fn cursor_call(&self, call: &CursorCall) -> Call {
        let layout = &self.shared.layout;
        let limits = &self.shared.keep.get().cursors;
        let owner = place_of(call);
        let partition = layout.partition(&owner);
        let field = call.key().map_or_else(String::new, |key| {
            format!("{}\n{}", key.name.as_str(), key.pattern.as_str())
        });
        let (what, cursor) = match call {
            CursorCall::Claim { beginning, .. } => ("claim", Some(beginning)),
            CursorCall::Store { cursor, .. } => ("store", Some(cursor)),
            CursorCall::Remove { .. } => ("remove", None),
            CursorCall::List { .. } => ("list", None),
        };
        let user = call.key().and_then(|key| key.user.as_ref());
        let per_user_max = user.map(|_| limits.per_user_max.to_string());
        let total_max = limits.total_max.div_ceil(layout.partitions().len());
        Call::script(
            &CURSORS,
            vec![
                layout.cursors(partition, &owner),
                layout.cursor_index(partition),
            ],
            [
                &what,
                &field,
                &format!("{owner}\n{field}"),
                &cursor.map_or(0, |cursor| cursor.term).to_string(),
                &cursor.map_or_else(String::new, positions_text),
                &limits.age_max.as_millis().to_string(),
                &per_user_max.unwrap_or_default(),
                &total_max.to_string(),
            ],
        )
    }

    fn cursor_answer(&self, call: &CursorCall, value: Value) -> Result<CursorAnswer, BackendError> {
        if let Value::ServerError(error) = &value
            && is_of_keys(error)
        {
            // Another program has damaged this cursor; all others are usable.
            let error = server_error(self.name(), error);
            self.damaged.log_damaged(&place_of(call), &error);
            return Ok(match call {
                CursorCall::List { .. } => CursorAnswer::Listed(Vec::new()),
                CursorCall::Claim { .. } | CursorCall::Store { .. } | CursorCall::Remove { .. } => {
                    CursorAnswer::Unsupported
                }
            });
        }
        let value = self.value(Some(value))?;
        let words: Option<Vec<&str>> = value
            .as_sequence()
            .and_then(|words| words.iter().map(text).collect());
        let answer = match words.as_deref() {
            Some(["done"]) => Some(CursorAnswer::Done),
            Some(["full"]) => Some(CursorAnswer::Full),
            Some(["listed", listed @ ..]) => Some(CursorAnswer::Listed(parse_cursors(listed))),
            Some(["claimed", term, positions, forgotten]) => {
                term.parse().ok().map(|term| CursorAnswer::Claimed {
                    cursor: Cursor {
                        term,
                        // If the positions were damaged by another program, the subscription starts from the beginning.
                        positions: serde_json::from_str(positions).unwrap_or_default(),
                    },
                    forgotten: forgotten.parse().unwrap_or_default(),
                })
            }
            _ => None,
        };
        answer.ok_or_else(|| unexpected(self.name(), "a cursor's script answered something else"))
    }
}

/// The owner of cursors: a user, or a device without a known user.
fn place_of(call: &CursorCall) -> String {
    match call {
        CursorCall::List { user } => owner_of(user),
        CursorCall::Claim { key, .. }
        | CursorCall::Store { key, .. }
        | CursorCall::Remove { key } => match key.user {
            Some(_) => key.owner(),
            None => format!("/{}", key.name.as_str()),
        },
    }
}

/// Parses three words for each cursor: device and pattern, milliseconds since its last use, and positions. Ordered by device and pattern.
fn parse_cursors(words: &[&str]) -> Vec<Remembered> {
    let (all, _) = words.as_chunks::<3>();
    let cursors = all.iter().filter_map(|[field, unused_ms, positions]| {
        let (name, pattern) = field.split_once('\n')?;
        remembered(name, pattern, positions, unused_ms.parse().ok()?)
    });
    let mut cursors: Vec<Remembered> = cursors.collect();
    cursors.sort_by(|one, other| (&one.name, &one.pattern).cmp(&(&other.name, &other.pattern)));
    cursors
}

fn positions_text(cursor: &Cursor) -> String {
    let positions: &[TopicPosition] = &cursor.positions;
    Json::from_value(&positions).map_or_else(|_| "[]".to_owned(), |json| json.to_string())
}
