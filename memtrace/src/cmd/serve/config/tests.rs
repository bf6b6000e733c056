use clap::{Args as _, Command};
use proptest::prelude::*;

use super::*;
use crate::cmd::serve::CommandLine;

fn command() -> Command {
    CommandLine::augment_args(Command::new("serve").no_binary_name(true))
}

fn told(text: &str) -> String {
    match parse(text.as_bytes(), &command()) {
        Ok(values) => format!("{values:?}"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn a_file_says_what_options_say() {
    let text = r#"
        # A comment.
        cache = ["dentry", 'sock*']
        listen = "127.0.0.1:9435"
        labels = "cgroup"
        series = 100
        interval = "10s"
        duration = 3_600
        max-cpu = 0.5
        max-memory = "256M"
        sample = 0x10
        uid = ["root"]
        pid = [1, 2]
        children = true
        verbose = false
        comm = []
    "#;
    insta::assert_snapshot!(told(text), @r#"{"cache": ["dentry", "sock*"], "children": [], "duration": ["3600"], "interval": ["10s"], "labels": ["cgroup"], "listen": ["127.0.0.1:9435"], "max-cpu": ["0.5"], "max-memory": ["256M"], "pid": ["1", "2"], "sample": ["16"], "series": ["100"], "uid": ["root"]}"#);
}

#[test]
fn what_is_wrong_is_found_in_the_file() {
    let files = [
        "series = 100\nintervall = \"5s\"\n",
        "max_cpu = 1",
        "nonsense = 1",
        "config = \"x.toml\"",
        "ring-bytes = 4096",
        "[serve]\nseries = 1",
        "series = true",
        "series = [1, 2]",
        "series = 0",
        "series = 1979-05-27",
        "cache = 5",
        "cache = [\"dentry\", 5]",
        "verbose = \"yes\"",
        "interval = \"5 parsecs\"",
        "labels = \"cgruop\"",
        "labels = [\"x\"]",
        "listen = [\n  \"127.0.0.1:1\",\n  \"ä\", \"nowhere\",\n]",
        "max-cpu = -1",
        "max-memory = 0x7fffffffffffffffff",
        "series = 1\nseries = 2",
        "series = ",
        "series == 1",
        "'\u{1b}[31m' = 1",
        "cache = \"\u{1b}[31m\"",
    ];
    insta::assert_snapshot!(files.map(|text| format!("{text}\n    {}", told(text))).join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let fault = parse(b"series = 1\n# \xff", &command()).unwrap_err();
    assert_eq!(fault, Fault { line: 2, column: 3, problem: "this is not UTF-8".to_owned() });
}

#[test]
fn each_visible_option_can_stand_in_a_file() {
    let command = command();
    let file = File { text: "", command: &command };
    for (name, arg) in file.options() {
        assert!(file.option(name).is_some_and(|same| same.get_id() == arg.get_id()), "{name}");
        let is_known = !arg.get_action().takes_values()
            || matches!(arg.get_action(), ArgAction::Append | ArgAction::Set);
        assert!(is_known, "{name}: {:?}", arg.get_action());
    }
}

proptest! {
    /// Whatever a file has, it is refused or taken, and a place in it is one that it has.
    #[test]
    fn any_text_is_answered(text in "[a-z\\-=\\[\\]\"'0-9 .,#\n\u{e4}]{0,60}") {
        if let Err(fault) = parse(text.as_bytes(), &command()) {
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(fault.line >= 1 && fault.line <= lines.len(), "{fault}");
            prop_assert!(fault.column >= 1 && fault.column <= lines[fault.line - 1].chars().count() + 1, "{fault}");
        }
    }
}
