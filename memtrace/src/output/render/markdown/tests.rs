use proptest::prelude::*;

use super::*;
use crate::{
    output::{
        documents,
        sample::{self, difference},
    },
    view::{By, Difference, Row, Snapshot},
};

fn report(snapshot: &Snapshot) -> String {
    text(&documents::report::page(snapshot))
}

fn of_difference(difference: &Difference) -> String {
    text(&documents::difference::document(difference, usize::MAX))
}

#[test]
fn a_report() {
    insta::assert_snapshot!(report(&Snapshot {
        directories: sample::final_dentry().directories,
        ..sample::verdict()
    }));
}

#[test]
fn calls_that_led_to_it() {
    insta::assert_snapshot!(report(&sample::stacks()));
}

#[test]
fn limits() {
    insta::assert_snapshot!(report(&sample::partial(By::Cache)));
    insta::assert_snapshot!(report(&sample::lossy()));
    insta::assert_snapshot!(report(&sample::crowd()));
}

#[test]
fn nothing() {
    insta::assert_snapshot!(report(&sample::empty()));
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(report(&named()));
    insta::assert_snapshot!(of_difference(&difference::hostile_names()));
}

#[test]
fn differences() {
    insta::assert_snapshot!(of_difference(&difference::leak()));
    insta::assert_snapshot!(of_difference(&difference::two_hosts()));
    insta::assert_snapshot!(of_difference(&difference::cut()));
}

#[test]
fn commands_in_advice_are_code() {
    let check = |text, expect: &str| assert_eq!(advice(text), expect);
    check("`cat /proc/x_y`: the *fifth* number", r"`cat /proc/x_y`: the \*fifth\* number");
    check("either `yes` or `a|b`.", r"either `yes` or `a\x7cb`.");
    check("it`s", r"it\`s");
    check("ask @all of `x`", r"`ask @all of \x60x\x60`");
    check("ask\x07 @all", r"`ask\x07 @all`");
    check("see `https://example.org`", "see `https://example.org`");
}

fn named() -> Snapshot {
    let row = |name: &&[u8]| Row { keys: vec![name.to_vec()], ..sample::row("x", 1, 2, 1, 0.5) };
    let mut snapshot = sample::hostile();
    snapshot.rows.extend(difference::NAMES.iter().map(row));
    snapshot.notes.extend(difference::NAMES.iter().map(|name| String::from_utf8_lossy(name).into_owned()));
    snapshot
}

/// What is outside of code, with its escaped signs left out: only this means anything.
fn meaning(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    let mut in_code = false;
    while let Some(c) = chars.next() {
        match c {
            '`' => in_code = !in_code,
            '|' => out.push(c),
            _ if in_code => {}
            '\\' => {
                chars.next();
            }
            _ => out.push(c),
        }
    }
    assert!(!in_code, "{line}");
    out
}

/// Every line of a table has as many cells as its head, and no name means anything.
fn check(text: &str) {
    let mut cells = 0;
    for line in text.lines() {
        let meaning = meaning(line);
        let bars = meaning.matches('|').count();
        assert!(cells == 0 || bars == 0 || bars == cells, "{line}");
        cells = bars;
        let is_tag = meaning.match_indices('<').any(|(at, _)| !meaning[at + 1..].starts_with(' '));
        assert!(!is_tag && !meaning.contains(['[', ']', '@', '!', '_']), "{line}\n{meaning}");
        assert!(!meaning.contains("://") && !meaning.contains("www."), "{line}");
        assert!(!line.chars().any(char::is_control), "{line}");
    }
}

#[test]
fn no_name_means_anything() {
    check(&report(&named()));
    sample::all().iter().for_each(|snapshot| check(&report(snapshot)));
    difference::all().iter().for_each(|difference| check(&of_difference(difference)));
}

proptest! {
    #[test]
    fn whatever_the_names(name in any::<Vec<u8>>(), note in "[`|\\\\<>@#*_ -~\\n]{0,20}", label in any::<Vec<u8>>()) {
        let mut snapshot = sample::verdict();
        snapshot.rows[0].keys = vec![name.clone()];
        snapshot.rows[0].names[0].pattern = name.clone();
        for suspect in snapshot.verdict.iter_mut().flat_map(|verdict| &mut verdict.findings) {
            suspect.comm = Some(name.clone());
            suspect.place.as_mut().unwrap().pattern = name.clone();
        }
        snapshot.notes = vec![note.clone()];
        check(&report(&snapshot));
        let mut difference = difference::leak();
        difference.after.label = label;
        difference.after.verdict = snapshot.verdict.clone();
        difference.rows[0].keys = vec![name];
        difference.notes = vec![note];
        check(&of_difference(&difference));
    }
}
