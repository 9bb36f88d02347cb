use tidegate_core::protocol::PublishRequest;

use super::*;
use crate::json::Json;

#[test]
fn a_sweep_comes_to_its_end_though_something_is_published_before_each_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let keep = Keep::default();
    let store = Store::open(&folder.path().join("topics.db"), keep.clone(), None);
    let Ok(mut store) = store else {
        panic!("no file can be made");
    };
    let now = Instant::now();
    let mut trimming = Trimming::new(now, &keep);
    let publish = |store: &mut Store| {
        let topic = Topic::new("job:1").expect("valid");
        let payload = Json::from_text("1").expect("JSON");
        let request = PublishRequest::new(topic, payload);
        let stored = store.write(|writing| writing.publish(&request));
        stored.expect("written").value.expect("stored");
    };
    for _ in 0..100 {
        publish(&mut store);
        trimming.step(now, &mut store).expect("done");
        if !trimming.is_due(now) {
            return;
        }
    }
    panic!("it goes on and on");
}
