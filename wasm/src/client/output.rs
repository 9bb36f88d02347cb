//! Writes the outputs of a client's hub as records.

use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::hub::ClientOutput;
use tidegate_core::payload::Payload;
use tidegate_core::protocol::{ClientFrame, MessageRoom};

use crate::due::{self, PacedBy};
use crate::errors::{plain, push_publish_failure};
use crate::json::Object;
use crate::records::{self, Record};
use crate::slot::Handle;
use crate::{AnyHub, frames, presence};

/// Writes an output; `room` is the room left in the message that frames are collected in.
pub(super) fn push(hub: &AnyHub, output: ClientOutput<Handle>, room: &mut MessageRoom) {
    match output {
        ClientOutput::AskToken { request } => {
            let note = Object::new().text("note", "token");
            records::push_note(note.number("request", u64::from(request)));
        }
        ClientOutput::Connect { link } => records::push(Record::Connect { link }),
        ClientOutput::Disconnect { link } => records::push(Record::Disconnect { link }),
        ClientOutput::Send(frame) => push_frame(&frame, room, hub.message_bytes_max()),
        #[cfg(not(feature = "worker"))]
        ClientOutput::State(state) => push_state(&state),
        #[cfg(not(feature = "worker"))]
        ClientOutput::Due(due) => due::push(&due, PacedBy::Time),
        #[cfg(not(feature = "worker"))]
        ClientOutput::Presence(event) => presence::push(hub, &event),
        #[cfg(not(feature = "worker"))]
        ClientOutput::Published {
            request,
            result: Ok(position),
        } => records::push(Record::Published { request, position }),
        #[cfg(not(feature = "worker"))]
        ClientOutput::Published {
            request,
            result: Err(error),
        } => push_publish_failure(request, &error),
        // A worker has no subscribers to tell.
        #[cfg(feature = "worker")]
        ClientOutput::State(_)
        | ClientOutput::Due(_)
        | ClientOutput::Presence(_)
        | ClientOutput::Published { .. } => {}
    }
}

fn push_frame(frame: &ClientFrame<Handle>, room: &mut MessageRoom, message_bytes_max: Option<u64>) {
    let length = records::add_text(&frames::object(frame).close());
    let data = frames::data(frame);
    let bytes = length + data.map_or(0, |data| data.encoded_bytes() + ",\"data\":".len());
    records::push(Record::Send {
        length,
        data: data.map(Handle::slot),
        begins_message: room.begins(bytes, message_bytes_max),
    });
}

fn push_state(state: &ConnectionState) {
    let (state, attempt, error) = match state {
        ConnectionState::Disconnected => ("disconnected", None, None),
        ConnectionState::Connecting { attempt } => ("connecting", Some(*attempt), None),
        ConnectionState::Connected => ("connected", None, None),
        ConnectionState::Stale => ("stale", None, None),
        ConnectionState::Closed(ClosedReason::ByUser) => ("closed", None, None),
        ConnectionState::Closed(ClosedReason::Refused(error)) => ("closed", None, Some(error)),
    };
    let note = Object::new()
        .text("note", "state")
        .text("state", state)
        .optional_number("attempt", attempt.map(u64::from));
    records::push_note(match error {
        Some(error) => note.object("error", plain(error)),
        None => note,
    });
}
