use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    output::{
        sample::{self, difference},
        tables,
    },
    view::{By, Difference, Row, Snapshot},
};

fn report(snapshot: &Snapshot) -> String {
    text(&tables::rows::table(snapshot)).expect("a line has as many fields as the header")
}

fn of_difference(difference: &Difference) -> String {
    text(&tables::difference::rows(difference)).expect("a line has as many fields as the header")
}

/// As a reader of CSV sees it: lines of as many fields as the header has.
fn parse(text: &str) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let line = |line: Result<::csv::StringRecord, ::csv::Error>| {
        line.expect("as many fields as the header has").iter().map(str::to_owned).collect()
    };
    reader.records().map(line).collect()
}

/// The field of the first row.
fn field(text: &str, column: &str) -> String {
    let lines = parse(text);
    let at = lines[0].iter().position(|name| name == column).expect(column);
    lines[1][at].clone()
}

/// A row with these names, whatever they are.
fn named(names: &[&[u8]]) -> Snapshot {
    let row = |name: &&[u8]| Row { keys: vec![name.to_vec()], ..sample::row("x", 1, 2, 1, -12.25) };
    Snapshot { rows: names.iter().map(row).collect(), ..sample::dentry() }
}

#[test]
fn a_report() {
    insta::assert_snapshot!(report(&sample::stacks()));
}

#[test]
fn a_report_by_several_keys() {
    insta::assert_snapshot!(report(&sample::by_several()));
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(report(&sample::hostile()));
    let keys: Vec<String> =
        parse(&report(&named(&difference::NAMES))).into_iter().map(|mut line| line.swap_remove(4)).collect();
    insta::assert_snapshot!(keys.join("\n"));
}

#[test]
fn what_top_cut_is_the_last_line() {
    let text = report(&sample::crowd());
    insta::assert_snapshot!(text.lines().last().unwrap());
    let objects: u64 = parse(&text)[1..].iter().map(|line| line[5].parse::<u64>().unwrap()).sum();
    let rest = sample::crowd().rest.unwrap();
    assert_eq!(objects, sample::crowd().rows.iter().map(|row| row.objects).sum::<u64>() + rest.objects);
}

#[test]
fn differences() {
    insta::assert_snapshot!(of_difference(&difference::leak()));
    insta::assert_snapshot!(of_difference(&difference::cut()));
    insta::assert_snapshot!(of_difference(&difference::hostile_names()));
}

#[test]
fn figures_are_as_they_are() {
    let mut snapshot = sample::dentry();
    snapshot.rows[0].bytes = u64::MAX;
    snapshot.rows[0].growth_per_s = -0.5;
    snapshot.rows[0].allocs_per_s = f64::NAN;
    let text = report(&snapshot);
    assert_eq!(field(&text, "bytes"), u64::MAX.to_string());
    assert_eq!(field(&text, "growth_per_s"), "-0.5");
    assert_eq!(field(&text, "allocs_per_s"), "0");
    assert_eq!(field(&text, "pid"), "");
}

#[test]
fn every_sample_is_a_rectangle_without_formulas() {
    let reports = sample::all().into_iter().map(|snapshot| report(&snapshot));
    let differences = difference::all();
    for text in reports.chain(differences.iter().map(of_difference)) {
        let lines = parse(&text);
        assert_eq!(lines.len(), text.lines().count(), "a line is a row: {text}");
        for field in lines.iter().flatten() {
            assert!(field.parse::<f64>().is_ok() || !runs(field), "{field}");
        }
    }
}

/// What a spreadsheet takes for a formula, however it parts the line.
fn runs(field: &str) -> bool {
    field.split([';', '\t', '\r', '\n']).any(|cell| {
        cell.trim_start_matches([' ', '"']).starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    })
}

/// The inverse for text that has no escapes of its own.
fn read(field: &str) -> String {
    field.strip_prefix('\'').unwrap_or(field).replace("\\x3b", ";")
}

proptest! {
    #[test]
    fn fields_come_back(names in vec("[ -~é日]{0,12}".prop_filter("no escape", |name| !name.contains('\\')), 1..6)) {
        let keys: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let lines = parse(&report(&named(&keys)));
        let back: Vec<String> = lines[1..].iter().map(|line| read(&line[4])).collect();
        prop_assert_eq!(back, names);
    }

    #[test]
    fn any_bytes_are_one_field_of_one_line(names in vec(vec(any::<u8>(), 0..24), 1..6)) {
        let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let text = report(&named(&keys));
        let lines = parse(&text);
        prop_assert_eq!(lines.len(), 1 + names.len());
        prop_assert_eq!(text.lines().count(), lines.len());
        for (line, name) in lines[1..].iter().zip(&names) {
            prop_assert_eq!(&line[4], &*escape::csv(name));
            prop_assert!(!runs(&line[4]) && !line[4].chars().any(char::is_control));
        }
    }

    #[test]
    fn figures_come_back(objects in any::<u64>(), growth in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let mut snapshot = sample::dentry();
        snapshot.rows[0].objects = objects;
        snapshot.rows[0].growth_per_s = growth;
        let text = report(&snapshot);
        prop_assert_eq!(field(&text, "objects").parse::<u64>().unwrap(), objects);
        prop_assert_eq!(field(&text, "growth_per_s").parse::<f64>().unwrap(), growth);
    }
}

#[test]
fn a_column_for_each_key() {
    let header = parse(&report(&sample::by_several())).swap_remove(0);
    assert_eq!(header[4..7], ["by_cgroup", "by_ancestors", "by_callsite"]);
    let mut distinct = header.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), header.len());
    assert!(parse(&report(&sample::caches(By::Cache)))[0].contains(&"by_cache".to_owned()));
}
