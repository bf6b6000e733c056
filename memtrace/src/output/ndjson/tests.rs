use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::output::sample::{self, difference};

fn parse(text: &str) -> Vec<Map<String, Value>> {
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(lines: &[Map<String, Value>]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn a_report() {
    insta::assert_snapshot!(report(&sample::verdict()).unwrap());
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(report(&sample::hostile()).unwrap());
}

#[test]
fn a_difference() {
    insta::assert_snapshot!(super::difference(&difference::leak()).unwrap());
}

/// Put together again, the lines are the object of `-o json`: nothing is left out, nothing is said otherwise.
#[test]
fn lines_are_the_live_object_in_pieces() {
    for snapshot in sample::all() {
        let whole: Map<String, Value> = serde_json::from_str(&json::line(&snapshot).unwrap()).unwrap();
        assert_eq!(whole_of(&parse(&report(&snapshot).unwrap()), "snapshot"), whole);
    }
    for difference in difference::all() {
        let whole: Map<String, Value> =
            serde_json::from_str(&json::difference(&difference).unwrap()).unwrap();
        assert_eq!(whole_of(&parse(&super::difference(&difference).unwrap()), "diff"), whole);
    }
}

fn whole_of(lines: &[Map<String, Value>], r#type: &str) -> Map<String, Value> {
    let facts = |of: &str| -> Vec<Value> {
        let of_type = lines[1..].iter().filter(|line| line["type"] == of);
        of_type
            .map(|line| {
                let mut facts = line.clone();
                facts.remove("type");
                Value::Object(facts)
            })
            .collect()
    };
    let mut whole = lines[0].clone();
    whole.insert("type".to_owned(), r#type.into());
    for (list, of) in [("caches", "cache"), ("rows", "row")] {
        whole.insert(list.to_owned(), facts(of).into());
    }
    let notes: Vec<Value> = facts("note").iter().map(|note| note["text"].clone()).collect();
    whole.insert("notes".to_owned(), notes.into());
    whole.insert("rest".to_owned(), facts("rest").pop().unwrap_or_default());
    if r#type == "diff" {
        whole.insert("total".to_owned(), facts("total").pop().unwrap());
        whole.insert("census".to_owned(), facts("census").pop().unwrap_or_default());
    } else {
        for (list, of) in [
            ("findings", "finding"),
            ("ages", "age"),
            ("generations", "generation"),
            ("directories", "directory"),
        ] {
            whole.insert(list.to_owned(), facts(of).into());
        }
        whole.insert("verdict".to_owned(), facts("verdict").pop().unwrap_or_default());
        whole.insert("trust".to_owned(), facts("trust").pop().unwrap());
        // It is an object of its own elsewhere too.
        let census = lines.iter().find(|line| line["type"] == "census");
        whole.insert("census".to_owned(), census.map_or(Value::Null, |line| Value::Object(line.clone())));
    }
    whole
}

#[test]
fn the_last_line_says_that_it_is_the_last() {
    for snapshot in sample::all() {
        let lines = parse(&report(&snapshot).unwrap());
        assert_eq!((types(&lines)[0], types(&lines).pop()), ("report", Some("trust")));
    }
    for difference in difference::all() {
        let lines = parse(&super::difference(&difference).unwrap());
        assert_eq!((types(&lines)[0], types(&lines).pop()), ("diff", Some("total")));
    }
}

proptest! {
    #[test]
    fn every_line_parses_whatever_the_names(key in any::<Vec<u8>>(), note in any::<String>()) {
        let mut snapshot = sample::verdict();
        snapshot.rows[0].keys = vec![key];
        snapshot.notes = vec![note.clone()];
        let text = report(&snapshot).unwrap();
        prop_assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
        let lines = parse(&text);
        prop_assert!(lines.iter().any(|line| line["type"] == "note" && line["text"] == note));
    }
}
