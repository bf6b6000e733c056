use serde_json::Value;

use super::*;
use crate::output::{sample::census as sample, schema::close};

fn parsed(census: &view::Census) -> Value {
    let line = line(census).unwrap();
    assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
    serde_json::from_str(&line).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../../docs/census.schema.json")).unwrap()
}

fn errors(schema: &Value) -> Vec<String> {
    let schema = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    let lines: Vec<Value> = sample::all().iter().map(parsed).collect();
    let errors = lines.iter().flat_map(|line| schema.iter_errors(line));
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn a_wreck_as_json() {
    insta::assert_snapshot!(line(&sample::wreck()).unwrap());
}

#[test]
fn real_output_is_valid_by_the_schema() {
    jsonschema::draft202012::meta::validate(&schema()).expect("the schema is one");
    assert_eq!(errors(&schema()), [""; 0]);
}

#[test]
fn the_schema_describes_every_field() {
    let mut schema = schema();
    close(&mut schema);
    assert_eq!(errors(&schema), [""; 0]);
}
