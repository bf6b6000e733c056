//! One moment in one line, as vmstat has it: the host's slab, what is outstanding of what is traced, who holds most of it, and
//! what is found.

use super::keys;
use crate::{
    output::{
        model::{Cell, Column, Kind, Room, Table},
        phrases::verdict,
    },
    text::time::rfc3339_seconds,
    view::{Snapshot, Verdict},
};

const TIME: Kind = Kind::word(20);
/// Columns do not move from one line to the next, so a key has no more than this.
const KEY: Kind = Kind::word(17);
const FINDING: Kind = Kind::Text(Room { least: 16, good: 20, most: 100 });

/// What one line is of.
pub struct Moment<'a> {
    pub snapshot: &'a Snapshot,
    /// How fast the host's slab memory has grown since the line before. None where that is not known.
    pub slab_per_s: Option<f64>,
}

type Of<'a> = Column<'a, Moment<'a>>;

pub fn table<'a>(moment: &'a Moment<'a>) -> Table {
    Table { is_live: true, ..Table::new("line", &columns(moment.snapshot), [moment]) }
}

fn columns(snapshot: &Snapshot) -> Vec<Of<'_>> {
    let top = || snapshot.rows.first();
    let slab = |_: &Moment<'_>| snapshot.meminfo.map(|meminfo| meminfo.slab);
    let mut keys = keys::columns(&snapshot.by, keys_of_top, |_, _| String::new());
    keys.extend(keys::command(&snapshot.by, comm_of_top));
    for key in &mut keys {
        key.head.kind = if key.head.kind.is_text() { KEY } else { key.head.kind };
        key.head.rank = 1;
    }
    let mut columns = vec![
        Of::new("time", "TIME", TIME, |_| Cell::words(rfc3339_seconds(snapshot.time))),
        Of::bytes("slab", "SLAB", slab).rank(1),
        Of::bytes_growth("slab_per_s", "SLAB/S", |moment: &Moment<'_>| moment.slab_per_s).rank(5),
        Of::bytes("outstanding_bytes", "HELD", |_| snapshot.totals().bytes).rank(6),
    ];
    columns.extend(keys);
    columns.extend([
        Of::bytes("bytes", "BYTES", move |_| top().map(|row| row.bytes)).rank(2),
        Of::growth("growth_per_s", "GROWTH", move |_| top().map(|row| row.growth_per_s)).rank(4),
        Of::count("lost", "LOST", |_| snapshot.trust.lost()).rank(7),
        Of::new("finding", "FINDING", FINDING, |_| found(snapshot.verdict.as_ref())).rank(3),
    ]);
    columns
}

fn keys_of_top<'m>(moment: &'m Moment<'_>) -> &'m [Vec<u8>] {
    moment.snapshot.rows.first().map_or(&[], |row| &row.keys)
}

fn comm_of_top<'m>(moment: &'m Moment<'_>) -> Option<&'m Vec<u8>> {
    moment.snapshot.rows.first()?.comm.as_ref()
}

fn found(verdict: Option<&Verdict>) -> Cell {
    let said = |verdict: &Verdict| match verdict.first() {
        Some(first) => Cell::words(verdict::in_short(first).text()),
        None => Cell::words("none"),
    };
    Cell::known(verdict, said)
}
