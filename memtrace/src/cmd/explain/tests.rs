use super::*;
use crate::procfs::slab::{Counts, SlabCache};

fn cache(name: &str, aliases: &[&str], reclaimable: bool) -> SlabCache {
    SlabCache {
        name: name.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        name_is_certain: true,
        slab_size: Some(192),
        reclaimable: Some(reclaimable),
        counts: Some(Counts { active_objects: 92_988, total_objects: 93_000, slabs: 4_429, pages: 4_429 }),
        ..SlabCache::default()
    }
}

fn host() -> HostState {
    let caches = vec![
        cache("dentry", &[], true),
        cache("ep_head", &["fsnotify_mark_connector", "lsm_file_cache"], false),
        cache("evil\u{1b}[2J", &["x\ty"], false),
        cache("filp", &[], false),
        cache("kmalloc-cg-64", &[], false),
        cache("msg_msg-64", &[], false),
        cache("xfs_inode", &[], true),
    ];
    HostState { caches, page_size: 4096, notes: Vec::new() }
}

fn nothing() -> HostState {
    HostState { caches: Vec::new(), page_size: 4096, notes: vec!["/proc/slabinfo is root's".to_owned()] }
}

fn said(asked: &str, host: HostState, output: Output) -> String {
    explained(asked, &Incidents::built_in(), host, output).unwrap_or_else(|error| format!("{error}\n"))
}

#[test]
fn dentry_in_full() {
    insta::assert_snapshot!(said("dentry", host(), Output::Text));
}

#[test]
fn a_cache_that_this_host_says_nothing_of() {
    insta::assert_snapshot!(said("filp", nothing(), Output::Text));
}

#[test]
fn a_merged_name_a_glob_and_names_that_nobody_knows() {
    let asked = ["lsm_file_cache", "xfs_i*", "evil*"];
    insta::assert_snapshot!(asked.map(|asked| said(asked, host(), Output::Text)).join("---\n"));
}

#[test]
fn what_is_not_there_names_the_nearest() {
    let asked = ["dentri", "msg-msg", "zzz*", "kmalloc-[", " "];
    insta::assert_snapshot!(asked.map(|asked| said(asked, host(), Output::Text)).concat());
}

#[test]
fn the_list() {
    insta::assert_snapshot!(listed(&Incidents::built_in(), Output::Text));
}

#[test]
fn json() {
    let text = said("filp", host(), Output::Json);
    assert_eq!(text.find('\n'), Some(text.len() - 1), "one object a line");
    insta::assert_snapshot!(text.replace('{', "\n{"));
    for text in [said("evil*", host(), Output::Json), listed(&Incidents::built_in(), Output::Json)] {
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        assert!(!text.trim_end().chars().any(char::is_control));
    }
}

#[test]
fn every_kind_fits_every_window() {
    for width in [20, 40, 80] {
        for entry in crate::knowledge::caches::all() {
            let known = Incidents::built_in();
            let answer = Answer::new(entry.names[0].as_str(), &known, host()).unwrap();
            let text = text::explain(&answer, width);
            // What is to be copied stands as it is.
            let is_verbatim =
                |line: &str| ["$ ", "https://", "Linux commit "].iter().any(|s| line.trim().starts_with(s));
            for line in text.lines().filter(|line| !is_verbatim(line)) {
                assert!(line.chars().count() <= width, "{line:?}");
                assert!(width < 80 || !line.contains('…'), "{line:?} is cut");
            }
        }
    }
}

/// Of caches, of names that nobody knows, of nothing in particular.
#[test]
fn json_is_what_the_schema_describes() {
    let mut schema = serde_json::from_str(include_str!("../../../../docs/explain.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    let open = jsonschema::draft202012::new(&schema).unwrap();
    crate::output::schema::close(&mut schema);
    let closed = jsonschema::draft202012::new(&schema).unwrap();
    let answers = [("*", host()), ("evil*", host()), ("filp", nothing())];
    let answers = answers.map(|(asked, host)| said(asked, host, Output::Json));
    for text in answers.into_iter().chain([listed(&Incidents::built_in(), Output::Json)]) {
        let json = serde_json::from_str(&text).unwrap();
        for schema in [&open, &closed] {
            let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0]);
        }
    }
    assert!(!open.is_valid(&serde_json::json!({"type": "explain", "version": 1, "asked": "filp"})));
}
