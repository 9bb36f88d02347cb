//! The task chat: rooms, notifications, and users who are away.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use crate::support::application::{post, post_as, serves_its_page, socket, start};
use crate::support::http::request;
use serde_json::json;

#[tokio::test]
async fn what_is_said_of_a_task_reaches_its_room_and_whoever_it_concerns() {
    let server = start("task_chat").await;
    serves_its_page(&server, "Task chat").await;
    let login = async |name: &str| {
        let answer = post(&server, "/login", json!({"name": name})).await;
        (
            answer.status,
            answer.json()["token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let stranger = post(&server, "/login", json!({"name": "mallory"})).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(post(&server, "/tasks", json!("a task")).await.status, 401);
    let ((_, ada), (_, ben)) = (login("ada").await, login("ben").await);
    let bearer = |token: &str| format!("Bearer {token}");
    let notified = async |token: &str| {
        let header = [("authorization", &*bearer(token))];
        let mut bell = socket(&server, "/live/user/notifications", &header).await;
        bell.expect("subscribed").await;
        bell
    };
    let (mut adas_bell, mut bens_bell) = (notified(&ada).await, notified(&ben).await);
    let created = post_as(&server, "/tasks", &ada, json!("Book the hall")).await;
    let topic = created.json()["topic"].clone();
    let task = topic
        .as_str()
        .unwrap()
        .strip_prefix("task:")
        .unwrap()
        .to_owned();
    let heard = adas_bell.expect("pub").await;
    assert_eq!(
        (&heard["topic"], &heard["data"]["event"]),
        (&json!("user:1"), &json!("task:created"))
    );
    assert_eq!(heard["data"]["about"], topic);

    let mut room = socket(&server, "/live/ws", &[("authorization", &*bearer(&ben))]).await;
    let subscribe = json!({"type": "subscribe", "pattern": "task:*", "since": []});
    room.send(subscribe).await;
    // The welcome has put ben into his own room.
    assert_eq!(room.expect("subscribed").await["pattern"], "user:2");
    room.expect("subscribed").await;
    assert_eq!(room.expect("pub").await["data"]["event"], "task:created");
    let say = async |token: &str, text: &str| {
        let path = format!("/tasks/{task}/messages");
        post_as(&server, &path, token, json!(text)).await.status
    };
    assert_eq!(say(&ada, "Is it free on Friday, @ben ?").await, 204);
    let said = json!({"from": "ada", "text": "Is it free on Friday, @ben ?"});
    let mut seen = [room.expect("pub").await, room.expect("pub").await];
    seen.sort_by_key(|frame| frame["topic"].as_str().map(str::to_owned));
    assert_eq!(
        seen[0]["data"],
        json!({"event": "chat:message", "data": said})
    );
    assert_eq!(seen[1]["data"]["event"], "chat:mention");
    let mention = bens_bell.expect("pub").await;
    assert_eq!(
        (&mention["topic"], &mention["data"]["data"]["room"]),
        (&json!("user:2"), &topic)
    );

    let complete = format!("/tasks/{task}/complete");
    assert_eq!(
        post_as(&server, &complete, &ben, json!(null)).await.status,
        403
    );
    assert_eq!(
        post_as(&server, &complete, &ada, json!(null)).await.status,
        204
    );
    let last = room.expect("pub").await;
    assert_eq!(
        (&last["data"]["event"], &last["end"]),
        (&json!("task:completed"), &json!("complete"))
    );
    assert_eq!(
        adas_bell.expect("pub").await["data"]["event"],
        "task:completed"
    );
    assert_eq!(say(&ben, "too late").await, 409);
    assert_eq!(
        post_as(&server, "/tasks/7/messages", &ada, json!("hi"))
            .await
            .status,
        404,
        "7 is a user's id"
    );
    let head = format!("Authorization: {}\r\n", bearer(&ben));
    let rooms = request(&server.address, "GET /rooms", &head, "")
        .await
        .json();
    assert_eq!(rooms[0]["topic"], topic);
    assert_eq!(
        (
            rooms[0]["offset"].clone(),
            rooms[0]["events"].as_array().unwrap().len()
        ),
        (json!(3), 3)
    );
}

#[tokio::test]
async fn what_concerns_somebody_who_is_away_waits_for_each_of_their_devices() {
    let server = start("task_chat").await;
    let login = async |name: &str| {
        let answer = post(&server, "/login", json!({"name": name})).await;
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let (ada, cleo) = (login("ada").await, login("cleo").await);
    let bearer = format!("Bearer {cleo}");
    let header = [("authorization", &*bearer)];
    let bell = async |device: &str| {
        let path = format!("/live/user/notifications?device={device}");
        let mut bell = socket(&server, &path, &header).await;
        bell.expect("subscribed").await;
        bell
    };
    for device in ["phone", "tablet"] {
        drop(bell(device).await);
    }
    let created = post_as(&server, "/tasks", &ada, json!("Book the hall")).await;
    let topic = created.json()["topic"].as_str().unwrap().to_owned();
    let say = format!("/tasks/{}/messages", topic.strip_prefix("task:").unwrap());
    for text in ["@cleo at six?", "@cleo or at seven?"] {
        let said = post_as(&server, &say, &ada, json!(text)).await;
        assert_eq!(said.status, 204);
    }
    let mut phone = bell("phone").await;
    let mention = phone.expect("pub").await;
    assert_eq!(mention["data"]["data"]["text"], "@cleo at six?");
    let position =
        json!({"topic": "user:3", "epoch": mention["epoch"], "offset": mention["offset"]});
    let ack = json!({"type": "ack", "pattern": "user:3", "positions": [position]});
    phone.send(ack).await;
    phone.send(json!({"type": "ping"})).await;
    phone.expect("pub").await;
    phone.expect("pong").await;
    drop(phone);
    let mut phone = bell("phone").await;
    let left = phone.expect("pub").await;
    assert_eq!(left["data"]["data"]["text"], "@cleo or at seven?");
    let mut tablet = bell("tablet").await;
    for text in ["@cleo at six?", "@cleo or at seven?"] {
        let mention = tablet.expect("pub").await;
        assert_eq!(mention["data"]["data"]["text"], text);
    }
}
