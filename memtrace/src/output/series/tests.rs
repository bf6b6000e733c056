use std::{
    collections::HashMap,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;

use super::*;
use crate::{
    output::schema,
    procfs::meminfo::SlabMemory,
    view::{
        By, Keys, Rest, Sampling,
        key_series::{Held, KeySeries, Line, Moment},
    },
};

/// Three seconds of a flood.
fn flood() -> KeySeries {
    let meminfo = |slab: u64| SlabMemory {
        slab,
        sreclaimable: slab - 4096,
        sunreclaim: 4096,
        available: Some(1 << 30),
    };
    let moment = |second: u64| Moment {
        time: UNIX_EPOCH + Duration::from_millis(1_764_000_000_123 + 1000 * second),
        elapsed: Duration::from_millis(1000 * second + 1000),
        sampling: Sampling::NONE,
        meminfo: (second != 1).then(|| meminfo((second + 1) << 20)),
    };
    let line = |comm: &[u8], objects: [u64; 3]| Line {
        keys: vec![comm.to_vec(), b"dentry".to_vec()],
        held: objects.map(|objects| Held { objects, bytes: 192 * objects }).into(),
    };
    KeySeries {
        host: "web-03".to_owned(),
        kernel: "6.12.57+deb12-amd64".to_owned(),
        by: Keys::new([By::Comm, By::Cache]).unwrap(),
        older: None,
        moments: (0..3).map(moment).collect(),
        lines: vec![line(b"curl", [1900, 3800, 5700]), line(b"sshd", [0, 12, 3])],
        others: [0, 2, 1].map(|rows| Rest { rows, objects: 5 * rows, bytes: 960 * rows }).into(),
        notes: vec!["the recording was not closed cleanly".to_owned()],
    }
}

/// Names that want to be more than names, and a sample.
fn hostile() -> KeySeries {
    let mut series = flood();
    series.host = "a\"} 1\nx{y=\"".to_owned();
    series.lines[0].keys = vec![b"=cmd|' /C calc'!A0, \"\\".to_vec(), b"\x1b[31m\xff\n# EOF\n".to_vec()];
    series.moments.iter_mut().for_each(|moment| moment.sampling = Sampling { period: 64 });
    // The clock was set back.
    series.moments[2].time = series.moments[0].time;
    series
}

fn text(write: fn(&KeySeries, &mut dyn std::io::Write) -> std::io::Result<()>, series: &KeySeries) -> String {
    let mut out = Vec::new();
    write(series, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn csv_has_a_line_for_each_key_at_each_moment() {
    insta::assert_snapshot!(text(csv::write, &flood()));
    insta::assert_snapshot!(text(csv::write, &hostile()));
}

#[test]
fn json_has_an_object_for_each_moment() {
    insta::assert_snapshot!(text(json::write, &flood()));
    insta::assert_snapshot!(text(json::write, &hostile()));
}

#[test]
fn openmetrics_has_series() {
    insta::assert_snapshot!(text(openmetrics::write, &flood()));
    insta::assert_snapshot!(text(openmetrics::write, &hostile()));
}

#[test]
fn the_schema_describes_each_line() {
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../../docs/series.schema.json")).unwrap();
    schema::close(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    for series in [flood(), hostile()] {
        for line in text(json::write, &series).lines() {
            let object: Value = serde_json::from_str(line).unwrap();
            let errors: Vec<String> = validator.iter_errors(&object).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{line}");
        }
    }
}

/// In each format a moment adds up to the same.
#[test]
fn all_formats_add_up() {
    for series in [flood(), hostile()] {
        let sums: Vec<u64> = (0..3).map(|at| series.total(at).bytes).collect();
        let csv = text(csv::write, &series);
        let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
        let column = reader.headers().unwrap().iter().position(|head| head == "bytes").unwrap();
        let mut of_csv = vec![0; 3];
        for (at, record) in reader.records().enumerate() {
            of_csv[at / 3] += record.unwrap()[column].parse::<u64>().unwrap();
        }
        assert_eq!(of_csv, sums);
        let objects: Vec<Value> =
            text(json::write, &series).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let bytes = |value: &Value| value["bytes"].as_u64().unwrap();
        for (moment, sum) in objects[1..].iter().zip(&sums) {
            assert_eq!(bytes(moment), *sum);
            let keys = moment["keys"].as_array().unwrap().iter().map(bytes).sum::<u64>();
            assert_eq!(keys + bytes(&moment["others"]), *sum);
        }
    }
    let series = flood();
    let mut of_metrics: HashMap<String, u64> = HashMap::new();
    for line in text(openmetrics::write, &series).lines() {
        let Some(rest) = line.strip_prefix("memtrace_outstanding_bytes{") else { continue };
        let fields: Vec<&str> = rest.rsplit_once('}').unwrap().1.split_whitespace().collect();
        *of_metrics.entry(fields[1].to_owned()).or_default() += fields[0].parse::<u64>().unwrap();
    }
    let mut sums: Vec<(String, u64)> = of_metrics.into_iter().collect();
    sums.sort();
    assert_eq!(
        sums.iter().map(|(_, sum)| *sum).collect::<Vec<_>>(),
        [0, 1, 2].map(|at| series.total(at).bytes)
    );
}

#[test]
fn no_format_has_control_characters_but_ends_of_lines() {
    for write in [csv::write, json::write, openmetrics::write] {
        let text = text(write, &hostile());
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }
}
