//! The page without its script: what it says, and that nothing of the host's text is obeyed. Then in a real browser.

mod browser;
mod clicks;
mod differences;
mod pictures;

use super::*;
use crate::output::sample::{
    self,
    incident::{self, Incident},
};

/// The page of an incident.
fn page_of(incident: &Incident) -> String {
    let Incident { snapshot, series, profile } = incident;
    report(snapshot, Recorded { file: b"lb-07-20261125.memtrace", series, profile }).unwrap()
}

fn of_snapshot(snapshot: Snapshot) -> Incident {
    Incident { snapshot, ..incident::empty() }
}

/// Without style, script and data, which would hide what the page says, and in lines.
fn skeleton(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some(start) = ["<style", "<script"].iter().filter_map(|tag| rest.find(tag)).min() {
        let end = rest[start..].find('>').unwrap() + start + 1;
        let tag = if rest[start..].starts_with("<style") { "</style>" } else { "</script>" };
        out += &rest[..end];
        out += "…";
        rest = &rest[end + rest[end..].find(tag).unwrap()..];
    }
    let out = out + rest;
    // The digests change with each change of the page's files.
    let policy = out.split('\'').map(|part| if part.starts_with("sha256-") { "sha256-…" } else { part });
    let mut lines = policy.collect::<Vec<_>>().join("'");
    for tag in [
        "<meta", "<title", "<body", "<main", "<p", "<h1", "<h2", "<h3", "<d", "<section", "<t", "<li",
        "<footer",
    ] {
        lines = lines.replace(tag, &format!("\n{tag}"));
    }
    lines
}

#[test]
fn an_incident() {
    insta::assert_snapshot!(skeleton(&page_of(&incident::incident())));
}

#[test]
fn nothing_to_tell() {
    insta::assert_snapshot!(skeleton(&page_of(&incident::empty())));
}

#[test]
fn what_was_there_before() {
    let of = |snapshot| {
        let page = skeleton(&page_of(&of_snapshot(snapshot)));
        page.find("<section id=\"already\"")
            .map(|at| page[at..].split("</section>").next().unwrap().to_owned())
    };
    insta::assert_snapshot!(of(sample::after_a_wreck()).expect("it is there"));
    assert_eq!(of(sample::verdict()), None);
}

#[test]
fn limited_trust() {
    let page = skeleton(&page_of(&of_snapshot(sample::lossy())));
    let (_, trust) = page.split_once("id=\"trust\"").unwrap();
    insta::assert_snapshot!(trust.split_once("</section>").unwrap().0);
}

/// The elements, in order; fails where one is not closed, or an attribute is not quoted.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 5] = ["meta", "wbr", "br", "input", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').expect("each < begins a tag");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order, before {rest:.60}");
            continue;
        }
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        assert_eq!(attributes.matches('"').count() % 2, 0, "quotes in {tag}");
        let bare: String = attributes.split('"').step_by(2).collect();
        assert!(!bare.contains(['<', '\'', '`']) && !bare.contains(" on"), "{tag}");
        seen.push(tag.to_owned());
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name.to_owned());
        }
        if ["style", "script"].contains(&name) {
            let end = format!("</{name}>");
            rest = &rest[rest.find(&end).expect("it ends")..];
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    seen
}

#[test]
fn every_page_is_well_formed() {
    for snapshot in sample::all() {
        elements(&page_of(&of_snapshot(snapshot)));
    }
    let count = |incident: &Incident| elements(&page_of(incident)).len();
    // Hostile texts bring no element of their own, but for paths that may break at more slashes.
    let of_hostile = elements(&page_of(&incident::hostile()));
    assert!(!of_hostile.iter().any(|tag| tag.starts_with("img")), "{of_hostile:?}");
    assert_eq!(of_hostile.iter().filter(|tag| tag.starts_with("script")).count(), 3);
    assert!(count(&incident::incident()) > 400);
}

#[test]
fn only_the_page_s_own_style_and_script_may_run() {
    let page = page_of(&incident::hostile());
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    assert!(page.contains(&policy));
    assert!(page.contains(&format!("<style>{STYLE}</style>")), "the digest is of what is there");
    assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
    for way_in in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "fetch(",
        "XMLHttpRequest",
        "import(",
    ] {
        assert!(!SCRIPT.contains(way_in), "{way_in} has no place in the script");
    }
    assert!(!page.contains(" style=\"") && !STYLE.contains("url("));
}

#[test]
fn links_are_of_the_web_only() {
    let page = page_of(&incident::hostile());
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|link| link.split('"').next().unwrap()).collect();
    assert!(links.iter().all(|link| link.starts_with("https://") || link.starts_with('#')), "{links:?}");
    assert!(page.contains("javascript:"), "it is shown, and no more");
}

#[test]
fn data_is_what_is_drawn() {
    for incident in [incident::incident(), incident::hostile(), incident::empty()] {
        let page = page_of(&incident);
        let data = |id: &str| -> serde_json::Value {
            let (_, after) = page.split_once(&format!("id=\"{id}\">")).unwrap();
            let text = after.split_once("</script>").unwrap().0;
            assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
            serde_json::from_str(text).unwrap()
        };
        assert_eq!(data("series-json")["caches"].as_array().unwrap().len(), incident.series.caches.len());
        assert_eq!(data("profile-json")["samples"].as_array().unwrap().len(), incident.profile.samples.len());
        assert!(!page.contains("snapshot-json"), "rows are in the page once, as HTML");
    }
}

/// What a browser's policy asks for: the examples of FIPS 180-4.
#[test]
fn digests_are_those_of_the_standard() {
    let check = |text: &str, expect: &str| assert_eq!(source(text), format!("sha256-{expect}"));
    check("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    check("abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}
