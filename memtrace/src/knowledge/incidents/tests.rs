use proptest::prelude::*;

use super::*;

const FILE: &str = r#"
[[incident]]
id = "ours"
title = "Ours"
signs = { caches = ["dentry"], comms = ["agent"], ancestors = ["cron*"], names = ["tmp-*"], parents = ["/var/lib/a*/x", "spool"], functions = ["*openat*"], negative = 0.5 }
if_known = ["ancestors", "negative", "parents"]
typical = ["comms", "functions"]
cause = """It
is so."""
"#;

fn ours() -> Incidents {
    Incidents(parse(FILE.as_bytes()).unwrap())
}

fn evidence() -> Evidence {
    Evidence { caches: vec!["dentry".to_owned()], name: Some(b"tmp-1\xff".to_vec()), ..Evidence::default() }
}

/// `matched / differs / unknown`, or `none`.
fn said(evidence: &Evidence) -> String {
    let known = ours();
    let matches = known.like(evidence);
    let list = |fields: &[Field]| fields.iter().map(Field::to_string).collect::<Vec<_>>().join(" ");
    matches.first().map_or_else(
        || "none".to_owned(),
        |like| format!("{} / {} / {}", list(&like.matched), list(&like.differs), list(&like.unknown)),
    )
}

#[test]
fn the_built_in_file_is_well_formed() {
    if let Err(fault) = parse(include_bytes!("../incidents.toml")) {
        panic!("{fault}");
    }
}

#[test]
fn what_is_not_known_is_no_match() {
    assert_eq!(said(&Evidence::default()), "none");
    assert_eq!(said(&Evidence { name: None, ..evidence() }), "none");
    assert_eq!(said(&Evidence { caches: vec![], ..evidence() }), "none");
    assert_eq!(said(&evidence()), "caches names /  / comms ancestors parents functions negative");
}

#[test]
fn what_must_not_differ_rules_out_and_what_is_typical_does_not() {
    let chain = |comms: &[&str]| comms.iter().map(|comm| comm.as_bytes().to_vec()).collect::<Vec<_>>();
    let with_chain = |comms: &[&str]| said(&Evidence { chain: chain(comms), ..evidence() });
    assert_eq!(
        with_chain(&["agent", "sh", "crond"]),
        "caches comms ancestors names /  / parents functions negative"
    );
    assert_eq!(with_chain(&["other"]), "caches names / comms / ancestors parents functions negative");
    // The process itself is no ancestor.
    assert_eq!(with_chain(&["crond", "systemd"]), "none");
    let negative = |share| said(&Evidence { negative: Some(share), ..evidence() });
    assert_eq!(negative(0.5), "caches names negative /  / comms ancestors parents functions");
    assert_eq!(negative(0.49), "none");
    assert_eq!(negative(f64::NAN), said(&evidence()));
}

#[test]
fn directories_are_compared_as_far_as_they_are_known() {
    let matches =
        |parent: &str| said(&Evidence { parent: Some(parent.as_bytes().to_vec()), ..evidence() }) != "none";
    assert!(matches("/var/lib/agent/x") && matches("x") && matches("spool") && matches("/var/spool"));
    assert!(!matches("/srv/x") && !matches("/") && !matches("") && !matches("spool2"));
}

#[test]
fn the_incident_of_nss_is_known_by_its_names() {
    let known = Incidents::built_in();
    let like = |evidence: &Evidence| {
        known
            .like(evidence)
            .iter()
            .map(|like| like.incident.id.as_str().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut evidence = Evidence { caches: vec!["dentry".to_owned()], ..Evidence::default() };
    assert_eq!(like(&evidence), "");
    for name in [".123_dOeSnotExist_.db", "._dOeSnotExist_123.db", ".<n>_dOeSnotExist_.db"] {
        evidence.name = Some(name.as_bytes().to_vec());
        assert_eq!(like(&evidence), "nss-does-not-exist");
    }
    evidence.chain =
        ["curl", "readiness.sh", "containerd-shim"].map(|comm| comm.as_bytes().to_vec()).to_vec();
    evidence.negative = Some(0.99);
    assert_eq!(
        like(&evidence),
        "container-healthcheck-curl openshift-readiness-curl nss-does-not-exist negative-dentries"
    );
    evidence.name = Some(b"index.html".to_vec());
    assert_eq!(like(&evidence), "negative-dentries");
}

#[test]
fn a_user_s_incident_takes_the_place_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.toml");
    std::fs::write(&path, FILE.replace("\"ours\"", "\"open-files\"")).unwrap();
    let known = Incidents::with_files(std::slice::from_ref(&path)).unwrap();
    let titles: Vec<_> = known.iter().filter(|known| known.id.as_str() == "open-files").collect();
    assert_eq!(titles.len(), 1);
    assert_eq!(titles[0].title.as_str(), "Ours");
    assert_eq!(titles[0].cause.as_str(), "It is so.");
    assert_eq!(known.iter().count(), Incidents::built_in().iter().count());
}

#[test]
fn faults_are_told_by_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.toml");
    let mut texts = String::new();
    let mut check = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Incidents::with_files(std::slice::from_ref(&path)).unwrap_err();
        texts += &format!("{}\n", error.to_string().replace(&directory.path().display().to_string(), ""));
    };
    check(b"");
    check(b"\n\nnonsense");
    check(b"a\n\xff");
    check(&vec![b'#'; 1 << 20 | 1]);
    for (good, bad) in [
        ("title = \"Ours\"", "titel = \"Ours\""),
        ("title = \"Ours\"", ""),
        ("title = \"Ours\"", "title = \" \""),
        ("title = \"Ours\"", "title = \"a\\u001b[2J\""),
        ("title = \"Ours\"", "title = 5"),
        ("\"ours\"", "\"ours"),
        ("\"agent\"", "\"a-very-long-agent\""),
        ("\"tmp-*\"", "\"tmp-[\""),
        ("0.5", "50"),
        ("0.5", "nan"),
        ("caches =", "cache ="),
        ("\"functions\"]", "\"colour\"]"),
        ("\"functions\"]", "\"ancestors\"]"),
        ("\"functions\"]", "\"functions\", \"caches\", \"names\"]"),
        ("functions = [\"*openat*\"], ", ""),
    ] {
        assert!(FILE.contains(good), "{good}");
        let bytes = FILE.replacen(good, bad, 1);
        check(bytes.as_bytes());
    }
    check(format!("{FILE}{FILE}").as_bytes());
    std::fs::remove_file(&path).unwrap();
    let error = Incidents::with_files(&[path]).unwrap_err();
    texts += &error.to_string().replace(&directory.path().display().to_string(), "");
    insta::assert_snapshot!(texts);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_at_a_line_of_theirs(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(fault) = parse(&bytes) {
            prop_assert!(fault.line <= bytes.iter().filter(|&&byte| byte == b'\n').count() + 1);
        }
    }

    /// One place of a good file spoilt.
    #[test]
    fn a_spoilt_file_is_read_or_refused(at in 0..FILE.len(), with in "\\PC{0,3}|[\\[\\]{}\"=#\\n,]{1,3}") {
        let mut bytes = FILE.as_bytes().to_vec();
        bytes.splice(at..=at, with.into_bytes());
        match parse(&bytes) {
            Ok(incidents) => prop_assert!(!incidents.is_empty()),
            Err(fault) => prop_assert!(!fault.problem.is_empty() && fault.line <= FILE.lines().count() + 4),
        }
    }

    /// Taking evidence away never makes an incident likelier.
    #[test]
    fn less_evidence_never_matches_more_signs(mask in 0u8..64) {
        let chain = ["agent", "crond"].map(|comm| comm.as_bytes().to_vec()).to_vec();
        let keep = |bit: u8| mask & (1 << bit) != 0;
        let all = Evidence {
            caches: vec!["dentry".to_owned()], chain, name: Some(b"tmp-1".to_vec()), parent: Some(b"spool".to_vec()),
            functions: vec!["do_sys_openat2".to_owned()], negative: Some(0.9),
        };
        let less = Evidence {
            caches: if keep(0) { all.caches.clone() } else { vec![] },
            chain: if keep(1) { all.chain.clone() } else { vec![] },
            name: all.name.clone().filter(|_| keep(2)),
            parent: all.parent.clone().filter(|_| keep(3)),
            functions: if keep(4) { all.functions.clone() } else { vec![] },
            negative: all.negative.filter(|_| keep(5)),
        };
        let known = ours();
        let matched = |evidence| known.like(evidence).first().map_or(0, |like| like.matched.len());
        prop_assert_eq!(matched(&all), 7);
        let expect = 7 - usize::from(!keep(0)) - 2 * usize::from(!keep(1)) - (2..6).filter(|bit| !keep(*bit)).count();
        prop_assert_eq!(matched(&less), if keep(0) && keep(2) { expect } else { 0 });
    }
}
