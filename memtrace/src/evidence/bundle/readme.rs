//! What to read first: the verdict, and what each file of the bundle is.

use std::time::{Duration, SystemTime};

use super::Member;
use crate::{
    output::documents::report,
    text::{escape, human, time::rfc3339_seconds, width},
    view::Snapshot,
};

/// Every terminal is at least this wide.
const WIDTH: usize = 80;

/// Of the longest usual names.
const NAME_WIDTH: usize = 22;

const REDACTED: &str = "Names of users, programs, files, cgroups and hosts are replaced by tokens: ten letters for a word, other digits \
    for a number. A name has the same token in all files of this bundle, and a different one in any other bundle. The key that \
    made them was never stored. Counts, sizes, times, process ids, ports, and names of slab caches, kernel functions and kernel \
    threads are unchanged. Known incidents that depend on a replaced name are not recognised.";

/// What the README says.
pub struct Readme<'a> {
    pub snapshot: &'a Snapshot,
    /// What triage says in one line; None where it did not watch.
    pub triage: Option<String>,
    /// When the recording ended, and how long it is.
    pub ended: SystemTime,
    pub length: Duration,
    pub members: &'a [Member],
    /// One sentence each.
    pub missing: &'a [String],
    pub is_redacted: bool,
}

impl Readme<'_> {
    pub fn text(&self) -> String {
        let mut out = String::new();
        paragraph(&mut out, &self.title(), 0);
        heading(&mut out, "Verdict");
        self.verdict().iter().for_each(|sentence| paragraph(&mut out, &format!("- {sentence}"), 2));
        heading(&mut out, "Contents");
        entries(&mut out, self.members);
        if !self.missing.is_empty() {
            heading(&mut out, "Missing");
            self.missing.iter().for_each(|note| paragraph(&mut out, &format!("- {}", clean(note)), 2));
        }
        if self.is_redacted {
            heading(&mut out, "Redacted");
            paragraph(&mut out, REDACTED, 2);
        }
        heading(&mut out, "Privacy");
        let care = if self.is_redacted {
            "Counts and times can be revealing too. Share it only with people who may know them."
        } else {
            "It names programs, their arguments, files, cgroups and addresses of this host. memtrace bundle --redact replaces these names."
        };
        paragraph(&mut out, care, 2);
        out
    }

    fn title(&self) -> String {
        let Snapshot { host, kernel, .. } = self.snapshot;
        format!(
            "memtrace {} bundle: {}, Linux {}, {} up to {}",
            env!("CARGO_PKG_VERSION"),
            clean(host),
            clean(kernel),
            human::duration(self.length),
            rfc3339_seconds(self.ended),
        )
    }

    fn verdict(&self) -> Vec<String> {
        let mut lines = report::verdict_sentences(self.snapshot);
        if lines.is_empty() {
            lines.push("not enough was recorded to tell whether anything leaks".to_owned());
        }
        lines.extend(self.triage.iter().map(|triage| format!("all memory: {triage}")));
        lines
    }
}

fn heading(out: &mut String, heading: &str) {
    out.push_str(&format!("\n{}\n", heading.to_uppercase()));
}

/// What was read at both ends stands once.
fn entries(out: &mut String, members: &[Member]) {
    let has = |name: &str| members.iter().any(|member| member.name == name);
    let mut has_both = false;
    for Member { name, about, .. } in members {
        match (name.strip_prefix("host/before/"), name.strip_prefix("host/after/")) {
            (Some(end), _) if has(&format!("host/after/{end}")) => {
                has_both = true;
                entry(out, &format!("host/*/{end}"), about);
            }
            (_, Some(end)) if has(&format!("host/before/{end}")) => {}
            _ => entry(out, name, about),
        }
    }
    if has_both {
        out.push('\n');
        paragraph(out, "host/before was read when the recording began, host/after when it ended.", 2);
    }
}

fn entry(out: &mut String, name: &str, about: &str) {
    let pad = NAME_WIDTH + 4;
    let (name, mut lines) = (clean(name), width::wrap(about, WIDTH - pad, 0).into_iter());
    if width::cells(&name) > NAME_WIDTH {
        out.push_str(&format!("  {name}\n"));
    } else {
        let first = lines.next().unwrap_or_default();
        out.push_str(&format!("  {}  {}\n", width::pad_right(&name, NAME_WIDTH), first.trim_end()));
    }
    lines.for_each(|line| out.push_str(&format!("{:pad$}{}\n", "", line.trim_end())));
}

fn paragraph(out: &mut String, words: &str, indent: usize) {
    let pad = " ".repeat(indent);
    let hanging = if words.starts_with("- ") { 2 } else { 0 };
    for line in width::wrap_whole(words, WIDTH - indent, hanging) {
        out.push_str(format!("{pad}{line}").trim_end());
        out.push('\n');
    }
}

fn clean(text: &str) -> String {
    escape::terminal(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::bundle::{ABOUT_RECORDING, RECORDING},
        output::sample,
    };

    fn members() -> Vec<Member> {
        [
            ("report.txt", "who holds the slab"),
            (RECORDING, ABOUT_RECORDING),
            ("host/before/slabinfo", "slab caches: objects, object size, slabs (man 5 slabinfo)"),
            ("host/before/pressure-memory", "time that tasks waited for memory"),
            ("host/after/slabinfo", "slab caches: objects, object size, slabs (man 5 slabinfo)"),
        ]
        .map(|(name, about)| Member::new(name, about, []))
        .to_vec()
    }

    fn readme<'a>(snapshot: &'a Snapshot, members: &'a [Member], missing: &'a [String]) -> Readme<'a> {
        Readme {
            snapshot,
            triage: Some("SUSPECT: slab: negative dentries, growing (+44.4 MiB)".to_owned()),
            ended: snapshot.time,
            length: snapshot.elapsed,
            members,
            missing,
            is_redacted: false,
        }
    }

    #[test]
    fn the_verdict_comes_first() {
        let members = members();
        insta::assert_snapshot!(readme(&sample::verdict(), &members, &[]).text());
    }

    #[test]
    fn redacted_and_with_what_is_missing() {
        let (members, missing) = (members(), ["cannot read /proc/slabinfo: \x1b[2J".to_owned()]);
        let snapshot = Snapshot { verdict: None, host: "a\x1bb".to_owned(), ..sample::verdict() };
        let readme = Readme { is_redacted: true, triage: None, ..readme(&snapshot, &members, &missing) };
        insta::assert_snapshot!(readme.text());
    }
}
