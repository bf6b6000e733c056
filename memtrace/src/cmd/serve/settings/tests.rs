use std::{fs, path::Path};

use clap::{Command, CommandFactory as _, Parser};
use proptest::prelude::*;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    line: CommandLine,
}

fn line(text: &str) -> CommandLine {
    Line::parse_from(std::iter::once("serve").chain(text.split_whitespace())).line
}

fn with_file(text: &str, options: &str) -> Result<Settings, String> {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("memtrace.toml");
    fs::write(&path, text).expect("there is room");
    let settled = line(&format!("--config {} {options}", path.display())).settle();
    let shown = |error: ConfigError| error.to_string().replace(&directory.path().display().to_string(), "");
    settled.map_err(shown)
}

#[test]
fn the_definition_is_sound() {
    let command: Command = Line::command();
    command.debug_assert();
}

#[test]
fn the_command_line_counts_more_than_the_file() {
    let file = "series = 50\ninterval = \"30s\"\ncache = [\"dentry\", \"filp\"]\nverbose = true\n";
    let Settings { args, .. } = with_file(file, "--series 70 -c sock*").expect("it is right");
    assert_eq!((args.series.get(), args.trace.interval.as_secs()), (70, 30));
    assert_eq!((args.trace.select.caches, args.trace.verbose), (vec!["sock*".to_owned()], true));
}

#[test]
fn what_nobody_says_is_as_ever() {
    let Settings { args, .. } = with_file("", "").expect("it is right");
    assert_eq!((args.series.get(), args.trace.interval.as_secs()), (200, 10));
    let alone = line("--series 7").settle().expect("it is right");
    assert_eq!((alone.args.series.get(), alone.args.trace.interval.as_secs()), (7, 10));
}

#[test]
fn options_that_exclude_each_other_are_told() {
    insta::assert_snapshot!(with_file("pid = 1\ntree = 1\n", "").unwrap_err(), @"/memtrace.toml: the argument '--pid <PID>' cannot be used with '--tree <PID>'");
    insta::assert_snapshot!(with_file("children = true\n", "").unwrap_err(), @"/memtrace.toml: the following required arguments were not provided: --pid <PID>");
    insta::assert_snapshot!(with_file("\nseries = 0\n", "").unwrap_err(), @"/memtrace.toml, line 2, column 10: 'series' cannot be '0': not a whole number of 1 or more; docs/serve.md has the format");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let error = line("--config /nowhere/memtrace.toml").settle().unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/memtrace.toml: No such file or directory (os error 2)");
    assert!(line(&format!("--config {}", Path::new("/").display())).settle().is_err());
    let large = "#".repeat((1 << 20) + 1);
    insta::assert_snapshot!(with_file(&large, "").unwrap_err(), @"/memtrace.toml: a configuration has at most 1 MiB");
}

#[test]
fn what_changes_is_told_from_what_needs_a_restart() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("memtrace.toml");
    let line = line(&format!("--config {} --max-cpu 1", path.display()));
    let of = |file: &str| {
        fs::write(&path, file).expect("there is room");
        line.settle().expect("it is right")
    };
    let mut settings = of("series = 50\ncache = \"dentry\"\n");
    let changes = settings.change_to(&of("cache = \"filp\"\ninterval = 5\nmax-cpu = 7\n"));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = Changes { made: names(&["interval", "series"]), put_off: names(&["cache"]) };
    assert_eq!(changes, expected);
    // It still needs one, and what was changed is not changed again.
    let changes = settings.change_to(&of("cache = \"filp\"\ninterval = 5\n"));
    assert_eq!(changes, Changes { put_off: names(&["cache"]), ..Changes::default() });
    assert_eq!(settings.change_to(&of("cache = \"dentry\"\ninterval = 5\n")), Changes::default());
}

/// Without one at the start, the right to measure is given up.
#[test]
fn a_cpu_limit_changes_where_there_is_one() {
    let of = |limit: Option<&str>| Settings {
        args: line("").args,
        values: limit.map(|limit| (MAX_CPU.to_owned(), vec![limit.into()])).into_iter().collect(),
    };
    let changes = |before, after| {
        let Changes { made, put_off } = of(before).change_to(&of(after));
        (made.len(), put_off.len())
    };
    assert_eq!(changes(None, Some("1")), (0, 1));
    assert_eq!(changes(Some("1"), Some("2")), (1, 0));
    assert_eq!(changes(Some("1"), None), (1, 0));
}

#[test]
fn what_can_change_is_an_option() {
    let definition = definition();
    for name in CHANGEABLE {
        assert!(definition.get_arguments().any(|arg| arg.get_long() == Some(name)), "{name}");
    }
}

proptest! {
    /// Whatever two files say: each difference is told once, and afterwards there is none left that could be made.
    #[test]
    fn differences_are_told_once(
        before in proptest::collection::btree_map("(series|labels|cache|listen|interval)", 0_u8..3, 0..5),
        after in proptest::collection::btree_map("(series|labels|cache|listen|interval)", 0_u8..3, 0..5),
    ) {
        let settings = |values: &std::collections::BTreeMap<String, u8>| Settings {
            args: line("").args,
            values: values.iter().map(|(name, value)| (name.clone(), vec![value.to_string().into()])).collect(),
        };
        let (mut old, new) = (settings(&before), settings(&after));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let different = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).count();
        let changes = old.change_to(&new);
        prop_assert_eq!(changes.made.len() + changes.put_off.len(), different);
        let again = old.change_to(&new);
        prop_assert_eq!(again, Changes { made: Vec::new(), put_off: changes.put_off });
    }
}
