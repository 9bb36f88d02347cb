use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn topic(number: u16) -> Topic {
    Topic::new(&format!("t:{number}")).expect("valid")
}

/// Checks that every node that is counted is in the tree, with a higher priority than its children. Then the tree is as
/// deep as one whose texts were inserted in random order.
fn check(tree: &Tree) {
    let mut open = vec![tree.root];
    let mut reached = 0;
    while let Some(at) = open.pop() {
        let Some(node) = tree.nodes.get(at as usize) else {
            continue;
        };
        reached += 1;
        for child in [node.left, node.right] {
            assert!(child == NONE || priority(at) > priority(child));
            open.push(child);
        }
    }
    assert_eq!(reached, tree.len);
}

proptest! {
    #[test]
    fn agrees_with_the_standard_library(steps in prop::collection::vec((any::<bool>(), 0..80_u16), 0..if cfg!(miri) { 40 } else { 400 })) {
        let mut map = OrderedMap::new();
        let mut model = BTreeMap::new();
        for (step, (inserts, number)) in steps.into_iter().enumerate() {
            let key = topic(number);
            if inserts {
                map.insert(&key, step);
                model.insert(key.clone(), step);
            } else {
                prop_assert_eq!(map.remove(&key), model.remove(&key));
            }
            check(&map.tree);
            prop_assert_eq!(map.entries.len(), map.tree.nodes.len());
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter()));
            let from = map.range(key.as_str()).next();
            prop_assert_eq!(from, model.range(key.clone()..).next());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "tens of thousands of insertions")]
fn stays_flat_when_texts_come_in_their_order() {
    let mut map = OrderedMap::new();
    for number in 10_000..60_000 {
        map.insert(&topic(number), ());
    }
    let depth = |key: &Topic| {
        let (mut at, mut depth) = (map.tree.root, 0);
        while &map.tree.nodes[at as usize].text != key.text() {
            let node = &map.tree.nodes[at as usize];
            at = if key.as_str() < &*node.text {
                node.left
            } else {
                node.right
            };
            depth += 1;
        }
        depth
    };
    let deepest = (10_000..60_000).map(|number| depth(&topic(number))).max();
    assert!(deepest < Some(60), "{deepest:?} for 50,000 entries");
}

#[test]
fn a_number_is_used_again_only_after_its_key_has_gone() {
    let mut map = OrderedMap::new();
    let first = map.insert(&topic(1), 'a');
    assert_eq!(map.insert(&topic(1), 'b'), first);
    assert_ne!(map.insert(&topic(2), 'c'), first);
    map.remove(&topic(1));
    assert_eq!(map.entry(first), None);
    assert_eq!(map.insert(&topic(3), 'd'), first);
}
