use std::sync::Arc;

use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use super::*;

fn publication(text: &str) -> Arc<Publication<Json>> {
    Arc::new(Publication {
        topic: Topic::new("job:\"42\"").expect("valid"),
        position: Position {
            epoch: 7,
            offset: 3,
        },
        payload: Json::from_text(text).expect("valid"),
        end: Some(EndReason::Complete),
    })
}

fn decode(message: &Message) -> ServerFrame<Json> {
    let envelope: ServerEnvelope<Json> =
        serde_json::from_slice(message.text_bytes()).expect("our own JSON");
    envelope.try_into().expect("our own frame")
}

#[test]
fn publications_decode_to_what_was_encoded() {
    for via in [None, Some(Pattern::new("job:*").expect("valid"))] {
        let item = publication(r#"{"a":[1,null]}"#);
        let frame = ServerFrame::Publication {
            publication: Arc::clone(&item),
            via: via.clone(),
        };
        assert_eq!(decode(&message(&frame)), frame);
        let frame = ServerFrame::Batch {
            items: vec![Arc::clone(&item), item],
            via,
        };
        assert_eq!(decode(&message(&frame)), frame);
    }
}

#[test]
fn deltas_decode_to_what_was_encoded_and_are_encoded_once() {
    for via in [None, Some(Pattern::new("job:*").expect("valid"))] {
        let frame = ServerFrame::Delta {
            publication: publication(r#"{"a":null}"#),
            base: 2,
            via,
        };
        let mut encoder = Encoder::default();
        let message = encoder.message(&frame);
        assert_eq!(decode(&message), frame);
        assert!(message.is(&encoder.message(&frame)));
    }
}

#[test]
fn a_publication_is_encoded_once() {
    let publication = publication("1");
    let frame = ServerFrame::Publication {
        publication,
        via: None,
    };
    assert!(message(&frame).is(&message(&frame)));
}

#[test]
fn a_publication_by_a_pattern_is_encoded_once_a_round() {
    let mut encoder = Encoder::default();
    let publication = publication("1");
    let frame = || ServerFrame::Publication {
        publication: Arc::clone(&publication),
        via: Some(Pattern::new("job:*").expect("valid")),
    };
    let first = encoder.message(&frame());
    assert!(first.is(&encoder.message(&frame())));
    encoder.forget();
    assert!(!first.is(&encoder.message(&frame())));
}

#[test]
fn a_presence_diff_is_encoded_once_a_round() {
    let mut encoder = Encoder::default();
    let diff = Arc::new(PresenceDiff {
        topic: Topic::new("doc:7").expect("valid"),
        joins: Vec::new(),
        leaves: Vec::new(),
    });
    let frame = || ServerFrame::PresenceDiff(Arc::clone(&diff));
    let first = encoder.message(&frame());
    assert!(first.is(&encoder.message(&frame())));
    assert_eq!(decode(&first), frame());
    encoder.forget();
    assert!(!first.is(&encoder.message(&frame())));
}

#[test]
fn headers_have_the_length_of_their_text() {
    for bytes in [0, 1, 125, 126, 65_535, 65_536] {
        let message = Message::new(0, |text| text.resize(text.len() + bytes, b'x'));
        let mut header = Vec::new();
        let fields = FrameHeader {
            opcode: OpCode::Data(Data::Text),
            ..FrameHeader::default()
        };
        fields
            .format(bytes as u64, &mut header)
            .expect("a Vec takes every write");
        assert!(message.framed().starts_with(&header), "{bytes}");
        assert_eq!(message.text_bytes().len(), bytes);
    }
}

#[test]
fn joined_frames_are_one_array() {
    let frames = [message(&ServerFrame::Ping), message(&ServerFrame::Stale)];
    let joined = Message::join(frames.iter());
    assert_eq!(
        joined.text_bytes(),
        br#"[{"type":"ping"},{"type":"stale"}]"#
    );
}
