//! Call stacks as a tree.

use crate::{
    output::model::{Cell, Column, Kind, Name, Room, Table},
    view::calls::Branch,
};

const CALLS: Kind = Kind::Text(Room { least: 24, good: 40, most: usize::MAX });

/// Behind a branch whose own are not shown.
pub const CLOSED: &str = "[+]";

type Of<'a> = Column<'a, (&'a Branch, bool)>;

/// Each with whether it is closed; of so many objects in all.
pub fn table(branches: &[(&Branch, bool)], all: u64) -> Table {
    let columns = [
        Of::new("calls", "CALLS", CALLS, |(branch, is_closed)| {
            let bytes = branch.calls.join(" < ").into_bytes();
            let name = Name { bytes, depth: branch.depth, ..Name::default() };
            Cell::Name(name.tail(if *is_closed { CLOSED } else { "" }))
        })
        .rank(1),
        Of::new("objects", "OBJECTS", Kind::Count, |(branch, _)| Cell::Count(branch.objects)),
        Of::new("share", "SHARE", Kind::Share, move |(branch, _)| {
            Cell::Share(branch.objects as f64 / all.max(1) as f64)
        }),
    ];
    Table::new("stacks", &columns, branches)
}
