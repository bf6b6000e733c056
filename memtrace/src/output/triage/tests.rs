use serde_json::Value;

use super::{json, sample};
use crate::{
    output::{
        documents,
        render::{
            markdown,
            terminal::{self, Frame, Style},
        },
        schema::close,
    },
    text::width,
    triage::page::Page,
};

fn text(page: &Page, width: Option<usize>) -> String {
    terminal::text(
        &documents::triage::document(page),
        Frame::wide(width.unwrap_or(documents::triage::WIDTH)),
        Style::Plain,
    )
}

fn markdown(page: &Page) -> String {
    markdown::text(&documents::triage::document(page))
}

#[test]
fn a_page_in_80_columns() {
    insta::assert_snapshot!(text(&sample::dentries(), Some(80)));
}

#[test]
fn a_page_in_a_file() {
    insta::assert_snapshot!(text(&sample::dentries(), None));
}

#[test]
fn a_page_as_markdown() {
    insta::assert_snapshot!(markdown(&sample::dentries()));
}

#[test]
fn nothing_found() {
    insta::assert_snapshot!(text(&sample::nothing(), Some(100)));
}

#[test]
fn without_privileges() {
    insta::assert_snapshot!(text(&sample::without_privileges(), Some(100)));
}

/// What is said of each kind of suspect.
#[test]
fn every_suspect_has_its_advice() {
    let answer = |page: &Page| {
        let text = text(page, Some(100));
        text[text.find("\nSuspect").expect("there is one")..].to_owned()
    };
    let answers: Vec<_> = sample::all_kinds().iter().map(answer).collect();
    insta::assert_snapshot!(answers.join("\n=====\n"));
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(text(&sample::hostile(), Some(100)));
    insta::assert_snapshot!(markdown(&sample::hostile()));
    for text in [text(&sample::hostile(), None), markdown(&sample::hostile())] {
        assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text}");
    }
}

#[test]
fn no_line_is_wider_than_the_window_but_commands() {
    for page in sample::all() {
        let commands: Vec<_> =
            page.advice.by_hand.iter().map(|(command, _)| format!("  {command}")).collect();
        for width in [40, 80, 200] {
            let text = text(&page, Some(width));
            for line in text.lines().filter(|line| !commands.iter().any(|command| command == line)) {
                assert!(width::cells(line) <= width, "{line:?}");
            }
        }
    }
}

fn parsed(page: &Page) -> Value {
    let line = json::line(page).unwrap();
    assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_page_as_json() {
    insta::assert_snapshot!(json::line(&sample::dentries()).unwrap());
}

#[test]
fn parts_add_up_to_the_total() {
    let json = parsed(&sample::dentries());
    let parts = json.pointer("/memory/parts").and_then(Value::as_object).unwrap();
    let sum: i64 = parts.values().filter_map(|part| part.get("bytes")?.as_i64()).sum();
    assert_eq!(json.pointer("/memory/total").and_then(Value::as_i64), Some(sum));
}

/// With that of snapshots, for `tracing.snapshot`.
fn schema() -> Value {
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../../docs/triage.schema.json")).unwrap();
    schema["$defs"]["snapshot"] =
        serde_json::from_str(include_str!("../../../../docs/snapshot.schema.json")).unwrap();
    schema
}

fn errors(schema: &Value) -> Vec<String> {
    let schema = jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap();
    let pages = sample::all();
    let json = pages.iter().map(parsed);
    json.flat_map(|json| {
        schema
            .iter_errors(&json)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn real_output_is_valid_by_the_schema() {
    let raw: Value = serde_json::from_str(include_str!("../../../../docs/triage.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&raw).expect("the schema is one");
    assert_eq!(errors(&schema()), [""; 0]);
}

#[test]
fn the_schema_describes_every_field() {
    let mut schema = schema();
    close(&mut schema);
    assert_eq!(errors(&schema), [""; 0]);
}
