//! Random frames of every type.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::CODES;
use crate::durable::DurableName;
use crate::flow::{Conflate, Flow, Pace, Slow};
use crate::lifecycle::{EndReason, StatedEnd};
use crate::presence::{Absent, Key, NodeId, PresenceDiff, PresenceId, PresenceState, Present};
use crate::protocol::{
    ClientFrame, GroupTerm, PublishRequest, ServerFrame, Start, SubscribeRequest, TopicPosition,
    WireError,
};
use crate::publication::{POSITION_MAX, Position, Publication};
use crate::rate::Rate;
use crate::tabs::{TabId, Term};
use crate::topic::{Pattern, Topic};

fn any_topic() -> impl Strategy<Value = Topic> {
    "[a-zA-Z0-9é_.-]{1,4}(:[a-z0-9]{1,3}){0,3}".prop_map(|text| Topic::new(&text).unwrap())
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    "([a-z]{1,3}|\\*)(:([a-z0-9]{1,3}|\\*)){0,2}(:\\*\\*)?"
        .prop_map(|text| Pattern::new(&text).unwrap())
}

fn any_payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_position() -> impl Strategy<Value = Position> {
    (0..=POSITION_MAX, 0..=POSITION_MAX).prop_map(|(epoch, offset)| Position { epoch, offset })
}

fn any_millis() -> impl Strategy<Value = Duration> {
    (1..=86_400_000_u64).prop_map(Duration::from_millis)
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let pace = prop_oneof![
        Just(Pace::Immediate),
        (any_millis(), any::<bool>(), any::<bool>()).prop_map(|(every, leading, trailing)| {
            Pace::Throttle {
                every,
                leading,
                trailing,
            }
        }),
        (
            any_millis(),
            prop::option::of(any_millis()),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(quiet, max_wait, leading, trailing)| Pace::Debounce {
                quiet,
                max_wait,
                leading,
                trailing,
            }),
    ];
    let conflate = prop_oneof![
        Just(Conflate::Latest),
        Just(Conflate::Merge),
        Just(Conflate::Sum),
        (1..=10_000_u32).prop_map(|max| Conflate::Collect {
            max: NonZeroU32::new(max).unwrap(),
        }),
    ];
    (pace, conflate).prop_map(|(pace, conflate)| Flow {
        pace,
        conflate,
        ..Flow::IMMEDIATE
    })
}

fn any_end() -> impl Strategy<Value = EndReason> {
    prop::sample::select(EndReason::ALL.to_vec())
}

fn any_rate() -> impl Strategy<Value = Rate> {
    any::<(NonZeroU32, NonZeroU32)>().prop_map(|(per_second, burst)| Rate { per_second, burst })
}

fn any_stated_end() -> impl Strategy<Value = StatedEnd> {
    prop_oneof![Just(StatedEnd::None), any_end().prop_map(StatedEnd::from)]
}

fn any_positions() -> impl Strategy<Value = Vec<TopicPosition>> {
    let known = (any_topic(), any_position());
    let known = known.prop_map(|(topic, position)| TopicPosition { topic, position });
    prop::collection::vec(known, 0..4)
}

fn any_slow() -> impl Strategy<Value = Option<Slow>> {
    prop::option::of(prop::sample::select(vec![
        Slow::Conflate,
        Slow::Drop,
        Slow::Disconnect,
    ]))
}

fn any_start() -> impl Strategy<Value = Start> {
    let known = (any_topic(), any_position())
        .prop_map(|(topic, position)| TopicPosition { topic, position });
    prop_oneof![
        Just(Start::Latest),
        Just(Start::New),
        prop::collection::vec(known, 0..4).prop_map(Start::Since),
    ]
}

fn any_group() -> impl Strategy<Value = GroupTerm> {
    let term = (0..=POSITION_MAX, 0..=POSITION_MAX).prop_map(|(counter, tab)| Term {
        counter,
        tab: TabId(tab),
    });
    (any::<String>(), term).prop_map(|(group, term)| GroupTerm { group, term })
}

pub(super) fn any_client_frame() -> impl Strategy<Value = ClientFrame<Value>> {
    let text = || prop::option::of(any::<String>());
    let publish = (
        any_topic(),
        any_payload(),
        prop::option::of(any_stated_end()),
        text(),
        any::<bool>(),
    )
        .prop_map(|(topic, payload, end, id, restart)| PublishRequest {
            topic,
            payload,
            end,
            id,
            restart,
        });
    prop_oneof![
        (text(), text(), prop::option::of(any_group())).prop_map(|(token, client, group)| {
            ClientFrame::Hello {
                token,
                client,
                group,
            }
        }),
        (
            any_pattern(),
            any_flow(),
            any_start(),
            prop::option::of("[a-z]{1,20}"),
            any_slow(),
        )
            .prop_map(|(pattern, flow, start, durable, slow)| {
                let durable = durable.map(|name| DurableName::new(&name).expect("letters"));
                ClientFrame::Subscribe(SubscribeRequest {
                    pattern,
                    flow,
                    start,
                    durable,
                    slow,
                })
            }),
        any_pattern().prop_map(|pattern| ClientFrame::Unsubscribe { pattern }),
        any_pattern().prop_map(|pattern| ClientFrame::Forget { pattern }),
        (any_pattern(), any_positions())
            .prop_map(|(pattern, positions)| ClientFrame::Ack { pattern, positions }),
        (any_pattern(), any_flow()).prop_map(|(pattern, flow)| ClientFrame::Flow { pattern, flow }),
        (0..=POSITION_MAX, publish)
            .prop_map(|(request, publish)| ClientFrame::Publish { request, publish }),
        (0..=POSITION_MAX, any_topic(), any_key(), any_payload()).prop_map(
            |(request, topic, key, meta)| ClientFrame::Track {
                request,
                topic,
                key,
                meta,
            }
        ),
        (0..=POSITION_MAX).prop_map(|request| ClientFrame::Untrack { request }),
        (0..=POSITION_MAX, any_topic())
            .prop_map(|(request, topic)| ClientFrame::Watch { request, topic }),
        any_topic().prop_map(|topic| ClientFrame::Unwatch { topic }),
        Just(ClientFrame::Ping),
        Just(ClientFrame::Pong),
    ]
}

fn any_publication() -> impl Strategy<Value = Arc<Publication<Value>>> {
    let end = prop::option::of(any_end());
    (any_topic(), any_position(), any_payload(), end).prop_map(|(topic, position, payload, end)| {
        Arc::new(Publication {
            topic,
            position,
            payload,
            end,
        })
    })
}

fn any_error() -> impl Strategy<Value = WireError> {
    let code = prop::sample::select(CODES.to_vec());
    let request = prop::option::of(0..=POSITION_MAX);
    let about = prop::option::of(any_pattern());
    (code, any::<String>(), about, request, any::<bool>()).prop_map(
        |(code, message, pattern, request, fatal)| WireError {
            code,
            message,
            pattern,
            request,
            fatal,
        },
    )
}

fn any_key() -> impl Strategy<Value = Key> {
    "[^\\p{Cc}]{1,20}".prop_map(|text| Key::new(&text).unwrap())
}

fn any_absent() -> impl Strategy<Value = Absent> {
    let node = any::<u64>().prop_map(NodeId::new);
    (any_key(), node, 0..=POSITION_MAX).prop_map(|(key, node, clock)| Absent {
        key,
        id: PresenceId { node, clock },
    })
}

fn all_present() -> impl Strategy<Value = Vec<Present<Value>>> {
    let present = (any_absent(), any_payload()).prop_map(|(Absent { key, id }, meta)| Present {
        id,
        key,
        meta,
    });
    prop::collection::vec(present, 0..4)
}

pub(super) fn any_server_frame() -> impl Strategy<Value = ServerFrame<Value>> {
    let via = || prop::option::of(any_pattern());
    let subscribed = (
        any_pattern(),
        prop::option::of(any_position()),
        any::<bool>(),
        any_flow(),
    )
        .prop_map(
            |(pattern, position, recovered, flow)| ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                flow,
            },
        );
    let items = prop::collection::vec(any_publication(), 1..4);
    prop_oneof![
        (
            any::<(u64, Option<u64>, Option<u64>)>(),
            prop::option::of(any_rate())
        )
            .prop_map(
                |((heartbeat_ms, expires_in_ms, message_bytes_max), publish_rate)| {
                    ServerFrame::Welcome {
                        heartbeat_ms,
                        expires_in_ms,
                        message_bytes_max,
                        publish_rate,
                    }
                }
            ),
        subscribed,
        any_pattern().prop_map(|pattern| ServerFrame::Unsubscribed { pattern }),
        (any_publication(), via())
            .prop_map(|(publication, via)| ServerFrame::Publication { publication, via }),
        (items, via()).prop_map(|(items, via)| ServerFrame::Batch { items, via }),
        (any_topic(), any_position(), via()).prop_map(|(topic, position, via)| {
            ServerFrame::Reset {
                topic,
                position,
                via,
            }
        }),
        (any_pattern(), any::<u64>())
            .prop_map(|(pattern, missed)| ServerFrame::Lagged { pattern, missed }),
        (any_pattern(), any_end())
            .prop_map(|(pattern, reason)| ServerFrame::End { pattern, reason }),
        (0..=POSITION_MAX, any_position())
            .prop_map(|(request, position)| ServerFrame::Published { request, position }),
        (any_topic(), all_present()).prop_map(|(topic, present)| {
            ServerFrame::PresenceState(Arc::new(PresenceState { topic, present }))
        }),
        (
            any_topic(),
            all_present(),
            prop::collection::vec(any_absent(), 0..4)
        )
            .prop_map(|(topic, joins, leaves)| {
                ServerFrame::PresenceDiff(Arc::new(PresenceDiff {
                    topic,
                    joins,
                    leaves,
                }))
            }),
        any_error().prop_map(ServerFrame::Error),
        Just(ServerFrame::Ping),
        Just(ServerFrame::Pong),
        any::<u64>().prop_map(|within_ms| ServerFrame::Drain { within_ms }),
        Just(ServerFrame::Stale),
        Just(ServerFrame::Live),
    ]
}
