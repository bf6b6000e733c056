use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::output::{sample, schema::close};

fn parse(snapshot: &view::Snapshot) -> Value {
    serde_json::from_str(&line(snapshot).unwrap()).unwrap()
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/snapshot.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn a_snapshot_in_full() {
    insta::assert_snapshot!(line(&sample::dentry()).unwrap());
}

#[test]
fn hostile_names() {
    insta::assert_snapshot!(line(&sample::hostile()).unwrap());
}

#[test]
fn rows_tell_the_circumstances_that_they_are_grouped_by() {
    let json = parse(&sample::by_circumstances());
    let of = |field: &str| {
        (0..3)
            .map(|row| json.pointer(&format!("/rows/{row}/{field}")).unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(json.pointer("/by"), Some(&"context,gfp,node".into()));
    assert_eq!(of("context"), [r#""process""#, r#""io-uring-worker""#, "null"]);
    assert_eq!(of("gfp/flags"), [r#""0xdc0""#, r#""0x8a940""#, r#""0x820""#]);
    assert_eq!(of("gfp/names")[0], r#""GFP_KERNEL|__GFP_ZERO""#);
    assert_eq!(of("gfp/names")[2], "null");
    assert_eq!(of("node"), ["1", "0", "null"]);
    assert!(schema().is_valid(&json));
    let json = parse(&sample::dentry());
    assert!(
        ["context", "gfp", "node"]
            .iter()
            .all(|field| json.pointer(&format!("/rows/0/{field}")).unwrap().is_null())
    );
}

#[test]
fn estimates_have_their_interval() {
    let json = parse(&sample::sampled());
    assert_eq!(json.pointer("/sampling/period"), Some(&64.into()));
    let of = |path: &str| json.pointer(path).and_then(Value::as_u64).unwrap();
    for what in ["/rows/0/objects", "/caches/0/outstanding_objects", "/rest/objects"] {
        let [low, high] = [0, 1].map(|end| of(&format!("{what}_ci95/{end}")));
        assert!((low..high).contains(&of(what)), "{what}");
    }
}

#[test]
fn what_is_absent_is_null() {
    let mut snapshot = sample::caches(view::By::Cache);
    snapshot.meminfo = None;
    snapshot.rows[0].oldest = None;
    snapshot.own_cost = view::OwnCost { userspace_cpu: Some(0.01), ..view::OwnCost::default() };
    let json = parse(&snapshot);
    for path in [
        "/meminfo",
        "/rest",
        "/older_ns",
        "/caches/2/reclaimable",
        "/caches/2/slabinfo_objects",
        "/caches/2/slabinfo_objects_per_s",
        "/self/probe_ns_per_event",
        "/self/cpu_share",
        "/self/rss_bytes",
        "/rows/0/objects_ci95",
        "/caches/0/outstanding_objects_ci95",
        "/rows/0/comm",
        "/rows/0/pid",
        "/rows/0/oldest_ns",
    ] {
        assert_eq!(json.pointer(path), Some(&Value::Null), "{path}");
    }
}

#[test]
fn numbers_are_exact() {
    let mut snapshot = sample::dentry();
    snapshot.rows[0].bytes = u64::MAX;
    snapshot.elapsed = Duration::MAX;
    let json = parse(&snapshot);
    assert_eq!(json.pointer("/rows/0/bytes").and_then(Value::as_u64), Some(u64::MAX));
    assert_eq!(json.pointer("/elapsed_ns").and_then(Value::as_u64), Some(u64::MAX));
}

#[test]
fn real_output_is_valid_by_the_schema() {
    let schema = schema();
    for snapshot in sample::all() {
        let json = parse(&snapshot);
        let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{json:#}");
    }
}

#[test]
fn the_schema_describes_every_field() {
    // Closed where it is open to additions on purpose, it finds a field that docs forgot.
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../../docs/snapshot.schema.json")).unwrap();
    close(&mut schema);
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    for snapshot in sample::all() {
        let json = parse(&snapshot);
        let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn the_schema_refuses_what_is_not_a_snapshot() {
    let schema = schema();
    let break_it = |path: &str, value: Value| {
        let mut json = parse(&sample::dentry());
        *json.pointer_mut(path).unwrap() = value;
        assert!(!schema.is_valid(&json), "{path}");
    };
    break_it("/type", "other".into());
    break_it("/version", 2.into());
    break_it("/time", "yesterday".into());
    break_it("/elapsed_ns", (-1).into());
    break_it("/by", "colour".into());
    break_it("/rows/0/objects", 1.5.into());
    break_it("/rows/0/growth_per_s", Value::Null);
    break_it("/trust/emitted", "many".into());
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(JsonLines::new(Gone).show(&sample::dentry()).unwrap(), Shown::ReaderGone);
}

proptest! {
    #[test]
    fn one_line_that_parses_whatever_the_names(key in any::<Vec<u8>>(), name in any::<String>(), rate in any::<f64>()) {
        let mut snapshot = sample::dentry();
        snapshot.rows[0].keys = vec![key.clone()];
        snapshot.rows[0].growth_per_s = rate;
        snapshot.rows[0].names[0].example = name.into_bytes();
        let line = line(&snapshot).unwrap();
        prop_assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control));
        let json: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(json.pointer("/rows/0/key").and_then(Value::as_str), Some(&*escape::json(&key)));
        prop_assert!(json.pointer("/rows/0/growth_per_s").is_some_and(Value::is_number));
    }
}
