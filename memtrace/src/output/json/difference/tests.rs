use proptest::prelude::*;
use serde_json::Value;

use super::super::difference as line;
use crate::{
    output::{sample::difference as differences, schema::close},
    text::escape,
    view,
};

fn parse(difference: &view::Difference) -> Value {
    serde_json::from_str(&line(difference).unwrap()).unwrap()
}

fn read(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap()
}

fn errors(json: &Value, schema: &Value, snapshot: Value) -> Vec<String> {
    let registry = jsonschema::Registry::new()
        .add("urn:memtrace:snapshot:1", snapshot)
        .and_then(|registry| registry.prepare())
        .unwrap();
    let options = jsonschema::draft202012::options().should_validate_formats(true).with_registry(&registry);
    options
        .build(schema)
        .unwrap()
        .iter_errors(json)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect()
}

fn schemas() -> [Value; 2] {
    [
        read(include_str!("../../../../../docs/diff.schema.json")),
        read(include_str!("../../../../../docs/snapshot.schema.json")),
    ]
}

#[test]
fn a_difference_in_full() {
    insta::assert_snapshot!(line(&differences::leak()).unwrap());
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(line(&differences::hostile_names()).unwrap());
}

#[test]
fn real_output_is_valid_by_the_schema() {
    let [schema, snapshot] = schemas();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    for difference in differences::all() {
        let json = parse(&difference);
        assert_eq!(errors(&json, &schema, snapshot.clone()), Vec::<String>::new(), "{json:#}");
    }
}

#[test]
fn the_schema_describes_every_field() {
    let [mut schema, mut snapshot] = schemas();
    close(&mut schema);
    close(&mut snapshot);
    for difference in differences::all() {
        assert_eq!(errors(&parse(&difference), &schema, snapshot.clone()), Vec::<String>::new());
    }
}

#[test]
fn the_schema_refuses_what_is_no_difference() {
    let [schema, snapshot] = schemas();
    let break_it = |path: &str, value: Value| {
        let mut json = parse(&differences::leak());
        *json.pointer_mut(path).unwrap() = value;
        assert!(!errors(&json, &schema, snapshot.clone()).is_empty(), "{path}");
    };
    break_it("/type", "snapshot".into());
    break_it("/version", 2.into());
    break_it("/by", "colour".into());
    break_it("/rows/0/seen", "never".into());
    break_it("/rows/0/objects_change", 1.5.into());
    break_it("/rows/0/objects_before", (-1).into());
    break_it("/total/bytes_after", Value::Null);
    break_it("/before/trust/emitted", "many".into());
    break_it("/after/verdict/objects_per_s", Value::Null);
    break_it("/after/time", "tomorrow".into());
}

proptest! {
    #[test]
    fn one_line_that_parses_whatever_the_names(key in any::<Vec<u8>>(), label in any::<Vec<u8>>(), rate in any::<f64>()) {
        let mut difference = differences::leak();
        difference.rows[1].keys = vec![key.clone()];
        difference.rows[1].rates_after.as_mut().unwrap().growth = rate;
        difference.before.label = label.clone();
        let line = line(&difference).unwrap();
        prop_assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control));
        let json: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(json.pointer("/rows/1/keys/0").and_then(Value::as_str), Some(&*escape::json(&key)));
        prop_assert_eq!(json.pointer("/before/label").and_then(Value::as_str), Some(&*escape::json(&label)));
        prop_assert!(json.pointer("/rows/1/after/growth_per_s").is_some_and(Value::is_number));
    }
}
