//! `memtrace explain` on this host's own caches, also for who may not read their figures.

use std::process::{Command, Output};

use crate::{Test, host, tests};

pub fn tests() -> Vec<Test> {
    tests![Nothing, Once: a_cache_is_explained_with_what_this_host_says_of_it, an_unknown_cache_and_a_faulty_file_are_usage_errors]
}

fn explain(arguments: &[&str]) -> Output {
    Command::new(host::memtrace()).arg("explain").args(arguments).output().expect("memtrace starts")
}

fn a_cache_is_explained_with_what_this_host_says_of_it() {
    let output = explain(&["dentry"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["comes back under pressure", "objects in use", "SReclaimable", "NSS_SDB_USE_CACHE=yes"] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    let json = explain(&["dentry", "--output", "json"]).stdout;
    let answer: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    let here = &answer["caches"][0]["host"][0];
    assert_eq!(here["name"], "dentry");
    assert_eq!(here["reclaimable"], true);
    assert!(here["active_objects"].as_u64().is_some_and(|objects| objects > 0), "{here}");
}

fn an_unknown_cache_and_a_faulty_file_are_usage_errors() {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let file = directory.path().join("site.toml");
    std::fs::write(&file, "\n[[incident]]\nid = 5\n").expect("it is ours");
    let file = file.to_str().expect("its name is ASCII");
    for (arguments, words) in
        [(["dentri", "--output=text"], "dentry"), (["dentry", &format!("--incidents={file}")], "line 3: ")]
    {
        let output = explain(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}
