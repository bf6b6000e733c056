use serde_json::Value;

use super::{json, sample};
use crate::{
    output::{
        documents::{self, triage::Length},
        render::{
            markdown,
            terminal::{self, Frame, Style},
        },
        schema::close,
    },
    text::width,
    triage::page::Page,
};

fn text_of(page: &Page, width: Option<usize>, length: Length) -> String {
    let frame = Frame::wide(width.unwrap_or(documents::triage::WIDTH));
    terminal::text(&documents::triage::document(page, length), frame, Style::Plain)
}

fn text(page: &Page, width: Option<usize>) -> String {
    text_of(page, width, Length::Page)
}

fn markdown(page: &Page) -> String {
    markdown::text(&documents::triage::ticket(page))
}

#[test]
fn a_page_in_80_columns() {
    insta::assert_snapshot!(text(&sample::dentries(), Some(80)));
}

#[test]
fn with_details_in_a_file() {
    insta::assert_snapshot!(text_of(&sample::dentries(), None, Length::Details));
}

#[test]
fn a_host_at_work() {
    insta::assert_snapshot!(text(&sample::at_work(), Some(80)));
}

/// It is said, and nobody is woken.
#[test]
fn a_slow_leak() {
    insta::assert_snapshot!(text(&sample::slow_leak(), Some(80)));
}

#[test]
fn memory_is_short() {
    insta::assert_snapshot!(text_of(&sample::short(), Some(100), Length::Details));
}

/// Whatever is found, and in the narrowest window that there is.
#[test]
fn one_page_is_40_lines() {
    for page in sample::all() {
        let text = text(&page, Some(80));
        assert!(text.lines().count() <= 40, "{text}");
    }
}

/// Who was seen first is seen last.
#[test]
fn the_suspect_stands_at_the_end_again() {
    for length in [Length::Page, Length::Details] {
        let text = text_of(&sample::dentries(), Some(200), length);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("SUSPECT: flood of ") && lines[2].starts_with("who: curl < "), "{text}");
        let [.., suspect, who, now] = lines[..] else { panic!("{text}") };
        assert_eq!([suspect, who], [lines[1], lines[2]]);
        assert!(now.starts_with("now: "), "{text}");
    }
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
        text[text.find("SUSPECT").expect("there is one")..text.find("\nmore:").expect("there is more")]
            .to_owned()
    };
    let answers: Vec<_> = sample::all_kinds().iter().map(answer).collect();
    insta::assert_snapshot!(answers.join("\n=====\n"));
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(text(&sample::hostile(), Some(100)));
    insta::assert_snapshot!(markdown(&sample::hostile()));
    for text in [text_of(&sample::hostile(), None, Length::Details), markdown(&sample::hostile())] {
        assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text}");
    }
}

#[test]
fn no_line_is_wider_than_the_window_but_commands() {
    for page in sample::all() {
        let commands: Vec<_> =
            page.advice.by_hand.iter().map(|(command, _)| format!("  {command}")).collect();
        for width in [40, 80, 200] {
            let text = text_of(&page, Some(width), Length::Details);
            for line in text.lines().filter(|line| !commands.iter().any(|command| command == line)) {
                assert!(width::cells(line) <= width, "{line:?}");
            }
        }
    }
}

/// A forge takes them for mentions, references and links, unless they stand as code.
#[test]
fn names_stand_as_code_in_a_ticket() {
    let names = ["@octocat", "#42", "www.evil.example", "org_x#7"];
    for name in names {
        let mut page = sample::short();
        page.candidates[0].commands[0].comm = name.as_bytes().to_vec();
        page.candidates[1].cgroup.as_mut().expect("it is one").path = name.as_bytes().to_vec();
        page.short.cgroups[0].path = name.as_bytes().to_vec();
        page.processes.rows[0].comm = name.as_bytes().to_vec();
        page.cgroups.rows[0].path = name.as_bytes().to_vec();
        let text = markdown(&page);
        let in_code = text.matches(&format!("`{name}`")).count();
        assert!(in_code >= 5 && text.matches(name).count() == in_code, "{text}");
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

/// With those of snapshots and censuses, which are in it.
fn schema() -> Value {
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../../docs/triage.schema.json")).unwrap();
    schema["$defs"]["snapshot"] =
        serde_json::from_str(include_str!("../../../../docs/snapshot.schema.json")).unwrap();
    schema["$defs"]["census"] =
        serde_json::from_str(include_str!("../../../../docs/census.schema.json")).unwrap();
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
