//! What changed between the samples.

use std::{sync::Arc, time::Duration};

use super::{
    after_a_wreck, by_several, caches, census, crowd, dentry, hostile, lossy, partial, row, sampled, verdict,
};
use crate::view::{
    By, Difference, Row, Sampling, Snapshot, Sort,
    diff::{Order, Taken, difference},
};

const ALL: Order = Order { sort: Sort::Bytes, top: None };

fn taken<'a>(snapshot: &'a Snapshot, label: &'a str) -> Taken<'a> {
    Taken { snapshot, label: label.as_bytes(), boot: Some("5f6c"), filters: "--cache dentry" }
}

fn between(before: &Snapshot, after: &Snapshot) -> Difference {
    difference(taken(before, "monday.rec"), taken(after, "tuesday.rec"), ALL).expect("the same keys")
}

/// A leak began: one row is new, one is gone, one is smaller, one much bigger.
pub(crate) fn leak() -> Difference {
    let mut before = Snapshot { is_final: true, ..dentry() };
    before.rows[0] = Row { names: before.rows[0].names.clone(), ..row("curl", 312, 400, 88, 0.5) };
    before.rows[1] = row("postgres", 1_024, 40_213, 39_189, 3.5);
    before.rows.push(row("updatedb", 90_000, 91_000, 1_000, 120.0));
    before.rows[2] = row("[kworker/0:1-ev]", 148, 1_000_000, 999_852, 0.0);
    before.caches[0].outstanding_objects = 91_484;
    before.caches[0].outstanding_bytes = 91_484 * 192;
    let mut after = verdict();
    after.time += Duration::from_secs(86_400);
    after.rows.push(Row { names: after.rows[1].names.clone(), ..row("backup", 700, 900, 200, 60.0) });
    between(&before, &after)
}

/// What was there when the sessions began has changed too: one grew, one went.
pub(crate) fn wreck() -> Difference {
    let mut was = census::wreck();
    was.rows.remove(1);
    let nss = &mut was.rows[0];
    (nss.bytes, nss.bytes_ci95) = (nss.bytes / 3, (nss.bytes / 3 - (1 << 28), nss.bytes / 3 + (1 << 28)));
    let before = Snapshot { census: Some(Arc::new(was)), ..verdict() };
    between(&before, &after_a_wreck())
}

/// The same, most of it cut.
pub(crate) fn cut() -> Difference {
    let before = crowd();
    let mut after = crowd();
    for (row, n) in after.rows.iter_mut().zip(1_u64..) {
        row.objects += n * n;
        row.bytes += n * n * 192;
    }
    after.rest.as_mut().expect("there is one").objects += 7;
    let order = Order { top: Some(3), sort: Sort::Objects };
    difference(taken(&before, "monday.rec"), taken(&after, "tuesday.rec"), order).expect("the same keys")
}

/// By several keys, on two hosts.
pub(crate) fn two_hosts() -> Difference {
    let before = by_several();
    let mut after =
        Snapshot { host: "web-04".to_owned(), kernel: "6.1.0-17-amd64".to_owned(), ..by_several() };
    after.elapsed = Duration::from_secs(600);
    after.rows[0].objects *= 3;
    after.rows[0].bytes *= 3;
    after.rows.truncate(2);
    let after = Taken { boot: Some("a1b2"), ..taken(&after, "web-04.rec") };
    difference(taken(&before, "web-03.rec"), after, ALL).expect("the same keys")
}

/// All that speaks against it.
pub(crate) fn doubtful() -> Difference {
    let before = Snapshot { older: Some(Duration::from_secs(10)), ..lossy() };
    let mut after = Snapshot { caches: partial(By::Comm).caches, rest: crowd().rest, ..sampled() };
    after.sampling = Sampling { period: 64 };
    after.kernel = "6.13.1".to_owned();
    let after = Taken { boot: Some("a1b2"), filters: "", ..taken(&after, "later.rec") };
    difference(taken(&before, "earlier.rec"), after, ALL).expect("the same keys")
}

/// Whatever can be hostile is.
pub(crate) fn hostile_names() -> Difference {
    let mut after = hostile();
    for (row, name) in after.rows.iter_mut().zip(NAMES) {
        row.keys = vec![name.to_vec()];
        row.comm = Some(name.to_vec());
    }
    after
        .rows
        .extend(NAMES.iter().skip(2).map(|name| Row { keys: vec![name.to_vec()], ..row("", 5, 6, 1, 0.1) }));
    let label = String::from_utf8_lossy(b"\x1b[2J|=cmd()`\n<b>.rec").into_owned();
    let before = Snapshot { rows: Vec::new(), ..hostile() };
    let after = Taken { label: label.as_bytes(), ..taken(&after, "") };
    difference(taken(&before, "monday.rec"), after, ALL).expect("the same keys")
}

/// Names that mean something to some reader.
pub(crate) const NAMES: [&[u8]; 16] = [
    b"=cmd()|'/C calc'!A0",
    b"+1+1",
    b"-2+3",
    b"@SUM(A1)",
    b"\t=1",
    b"\r=1",
    b"'quoted",
    b"a,\"b\";=1",
    b"\xff\xfe=1",
    "\u{202e}gpj.exe".as_bytes(),
    "\u{ff1d}1+1".as_bytes(),
    b"a|b `c` ``` d",
    b"<img src=x onerror=alert(1)>",
    b"[x](javascript:alert(1)) @all #1",
    b"two\nlines",
    b"\\|",
];

pub(crate) fn all() -> Vec<Difference> {
    let several = |by| {
        let mut after = caches(by);
        after.caches[1].outstanding_bytes += 4096;
        after.caches.truncate(2);
        between(&caches(by), &after)
    };
    vec![
        leak(),
        wreck(),
        cut(),
        two_hosts(),
        doubtful(),
        hostile_names(),
        several(By::Comm),
        several(By::Cache),
        between(&dentry(), &dentry()),
    ]
}
