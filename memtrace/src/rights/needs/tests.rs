//! What is given up needs no root to be looked at. Each in a thread of its own, since what it gave up is gone.

use std::thread;

use super::*;

fn names(set: CapabilitySet) -> String {
    let names = set.iter_names().map(|(name, _)| name);
    names.collect::<Vec<_>>().join(" ")
}

/// Of all that root has.
#[test]
fn each_need_keeps_its_rights() {
    let kept = |needs: Needs| names(needs.kept_of(CapabilitySet::all()));
    let none = Needs::default();
    insta::assert_snapshot!(
        [
            ("a session", none),
            ("with a census", Needs { looks_at_slabs: true, ..none }),
            ("--stacks user", Needs { names_user_stacks: true, ..none }),
            ("--max-cpu", Needs { measures_probes: true, ..none }),
            ("into a file", none.with_files()),
            ("of a command", Needs { sends_signals: true, ..none }),
            ("bundle", Needs { starts: Starts::Itself, ..none.with_files() }),
            ("top", Needs { starts: Starts::Another, ..none.with_files() }),
        ]
        .map(|(name, needs)| format!("{name:<14} {}", kept(needs)))
        .join("\n")
    );
}

#[test]
fn nothing_is_kept_that_was_not_there() {
    let held = CapabilitySet::BPF | CapabilitySet::PERFMON;
    assert_eq!(Needs::default().kept_of(held), CapabilitySet::empty());
    let census = Needs { looks_at_slabs: true, measures_probes: true, ..Needs::default() };
    assert_eq!(census.kept_of(held), held);
    assert_eq!(census.kept_of(CapabilitySet::SYS_ADMIN), CapabilitySet::SYS_ADMIN);
}

#[test]
fn a_thread_beside_the_session_has_no_more_than_it_needs() {
    let before = capability::held();
    let after = thread::spawn(|| {
        keep_only_files_here(false);
        let inherited = thread::spawn(capability::held).join().unwrap();
        (capabilities(None).unwrap(), inherited)
    });
    let (sets, inherited) = after.join().unwrap();
    let kept = before & CapabilitySet::DAC_READ_SEARCH;
    assert_eq!((sets.effective, sets.permitted, inherited), (kept, kept, kept));
    assert_eq!(capability::held(), before, "of the others nothing is taken");
    let sets = CapabilitySets { effective: before, permitted: before, inheritable: CapabilitySet::empty() };
    let again = thread::spawn(move || {
        keep_only_files_here(false);
        set_capabilities(None, sets).is_ok()
    });
    assert_eq!(again.join().unwrap(), before == kept, "it does not come back");
}
