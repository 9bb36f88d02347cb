use std::time::Duration;

use tungstenite::protocol::frame::Frame;

use super::*;
use crate::deflate::Deflater;
use crate::hub::Bodies;

fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        opcode,
        is_final,
        mask: Some([1, 2, 3, 4]),
        ..FrameHeader::default()
    };
    let frame = Frame::from_payload(header, payload.to_vec().into());
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a Vec takes every write");
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    masked(OpCode::Data(Data::Text), true, payload.as_bytes())
}

fn read(chunks: &[&[u8]]) -> Result<Vec<Incoming>, Violation> {
    read_by(Reader::new(70_000, false), chunks)
}

fn read_by(mut reader: Reader, chunks: &[&[u8]]) -> Result<Vec<Incoming>, Violation> {
    let mut intake = Intake::new(Bodies::new(1 << 20, 1));
    let mut incoming = Vec::new();
    for chunk in chunks {
        reader.receive(chunk, &mut intake, |message| incoming.push(message))?;
        let kept = reader.unfinished.as_deref().map_or(0, Unfinished::bytes);
        assert_eq!(intake.bodies.held(), kept);
    }
    assert!(incoming.is_empty() || reader.unfinished.is_none());
    Ok(incoming)
}

#[test]
fn messages_are_the_same_however_they_are_cut() {
    let long = "é".repeat(33_000);
    let bytes = [
        text("a"),
        masked(OpCode::Control(Control::Ping), true, b"p"),
        text(&long),
    ]
    .concat();
    let whole = read(&[&bytes]).expect("valid");
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[2], Incoming::Text(long));
    for at in (0..40).chain([200, 65_000]) {
        assert_eq!(
            read(&[&bytes[..at], &bytes[at..]]),
            Ok(read(&[&bytes]).expect("valid")),
            "cut at {at}"
        );
    }
    let bytewise: Vec<&[u8]> = bytes.chunks(1).take(14).collect();
    assert_eq!(read(&bytewise).expect("valid").len(), 2);
}

#[test]
fn fragments_are_put_together_around_control_frames() {
    let bytes = [
        masked(OpCode::Data(Data::Text), false, b"he"),
        masked(OpCode::Control(Control::Ping), true, b""),
        masked(OpCode::Data(Data::Continue), true, b"llo"),
    ]
    .concat();
    let expected = vec![Incoming::Ping(Vec::new()), Incoming::Text("hello".into())];
    assert_eq!(read(&[&bytes]), Ok(expected));
}

#[test]
fn who_sends_slowly_leaves_half_of_the_room_to_others_and_each_message_has_its_own_time() {
    let mut intake = Intake::new(Bodies::new(1_000, 1));
    let mut others = intake.bodies.begin();
    let mut reader = Reader::new(70_000, false);
    let long = text(&"x".repeat(400));
    let mut receive = |part: &[u8], at: u64, held: usize| {
        others.hold(held, false, Duration::ZERO).expect("room");
        intake.now = Instant::from_millis(at * 1_000);
        let mut count = 0;
        let received = reader.receive(part, &mut intake, |_| count += 1);
        received.map(|()| count)
    };
    assert_eq!(receive(&long[..100], 1, 0), Ok(0));
    assert_eq!(receive(&long[100..200], 30, 700), Ok(0), "not long yet");
    assert_eq!(
        receive(&long[200..300], 100, 0),
        Ok(0),
        "there is much room"
    );
    // One read contains the end of this message and the beginning of the next.
    let both = [&long[300..], &long[..100]].concat();
    assert_eq!(receive(&both, 101, 0), Ok(1));
    assert_eq!(receive(&long[100..200], 130, 700), Ok(0));
    assert_eq!(receive(&long[200..300], 131, 700), Err(Violation::NoRoom));
}

#[test]
fn what_a_client_may_not_send_is_named() {
    let mut unmasked = Vec::new();
    Frame::message("x", OpCode::Data(Data::Text), true)
        .format(&mut unmasked)
        .expect("a Vec");
    assert_eq!(read(&[&unmasked]), Err(Violation::Unmasked));
    let large = text(&"x".repeat(70_001));
    assert_eq!(
        read(&[&large[..14]]),
        Err(Violation::TooLarge { bytes_max: 70_000 })
    );
    let cases = [
        (
            masked(OpCode::Data(Data::Binary), true, b"x"),
            Violation::Binary,
        ),
        (
            masked(OpCode::Data(Data::Continue), true, b"x"),
            Violation::Malformed,
        ),
        (
            masked(OpCode::Data(Data::Text), true, &[0xff]),
            Violation::NotUtf8,
        ),
        (
            masked(OpCode::Control(Control::Ping), true, &[0; 126]),
            Violation::Malformed,
        ),
        (
            masked(OpCode::Control(Control::Ping), false, b""),
            Violation::Malformed,
        ),
    ];
    for (bytes, violation) in cases {
        assert_eq!(read(&[&bytes]), Err(violation));
    }
}

#[test]
fn many_fragments_count_together() {
    let part = masked(OpCode::Data(Data::Text), false, &[b'x'; 40_000]);
    let rest = masked(OpCode::Data(Data::Continue), true, &[b'x'; 40_000]);
    assert_eq!(
        read(&[&part, &rest]),
        Err(Violation::TooLarge { bytes_max: 70_000 })
    );
}

/// A frame of a compressed message.
fn deflated(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = masked(opcode, is_final, payload);
    bytes[0] |= 0x40;
    bytes
}

fn compressed(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    assert!(Deflater::default().deflate(text.as_bytes(), &mut data));
    data
}

#[test]
fn compressed_messages_are_read_where_that_was_agreed() {
    let text = "la".repeat(500);
    let data = compressed(&text);
    let (first, rest) = data.split_at(3);
    let bytes = [
        deflated(OpCode::Data(Data::Text), true, &data),
        deflated(OpCode::Data(Data::Text), false, first),
        masked(OpCode::Control(Control::Ping), true, b""),
        masked(OpCode::Data(Data::Continue), true, rest),
        self::text("plain"),
    ]
    .concat();
    let expected = vec![
        Incoming::Text(text.clone()),
        Incoming::Ping(Vec::new()),
        Incoming::Text(text),
        Incoming::Text("plain".into()),
    ];
    assert_eq!(read_by(Reader::new(1_000, true), &[&bytes]), Ok(expected));
    assert_eq!(read(&[&bytes]), Err(Violation::Malformed));
}

#[test]
fn what_a_client_may_not_compress_is_refused() {
    let may = || Reader::new(1_000, true);
    let bomb = deflated(
        OpCode::Data(Data::Text),
        true,
        &compressed(&"x".repeat(100_000)),
    );
    let too_large = Violation::TooLarge { bytes_max: 1_000 };
    assert_eq!(read_by(may(), &[&bomb]), Err(too_large));
    let noise = deflated(OpCode::Data(Data::Text), true, &[0xff; 20]);
    assert_eq!(read_by(may(), &[&noise]), Err(Violation::Malformed));
    let ping = deflated(OpCode::Control(Control::Ping), true, b"");
    assert_eq!(read_by(may(), &[&ping]), Err(Violation::Malformed));
    let later = [
        masked(OpCode::Data(Data::Text), false, b"a"),
        deflated(OpCode::Data(Data::Continue), true, b"b"),
    ]
    .concat();
    assert_eq!(read_by(may(), &[&later]), Err(Violation::Malformed));
}
