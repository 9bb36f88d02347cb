//! The deliberate faults by which the tests are tested still apply to the core as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[path = "../mutations/list.rs"]
mod list;

use list::MUTATIONS;

#[test]
fn every_fault_has_its_place_in_the_core_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    for mutation in MUTATIONS {
        let text = fs::read_to_string(root.join(mutation.file)).unwrap();
        let found = text.matches(mutation.old).count();
        if found != 1 || mutation.old == mutation.new {
            let (name, file, breaks) = (mutation.name, mutation.file, mutation.breaks);
            wrong.push(format!(
                "{name} ({breaks}) is found {found} times in {file}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_faults_and_each_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    assert_eq!(names.len(), MUTATIONS.len());
    assert!(names.len() >= 25);
}
