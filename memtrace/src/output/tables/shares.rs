//! Parts of a whole, each with what it is called.

use crate::output::model::{Cell, Column, Kind, Name, Room, Table};

const NAME: Kind = Kind::Text(Room { least: 24, good: 40, most: usize::MAX });

pub struct Part {
    pub objects: u64,
    pub name: Name,
}

/// Parts of so many objects, under a title.
pub fn table(title: &'static str, whole: u64, parts: &[Part]) -> Table {
    type Of<'a> = Column<'a, Part>;
    let columns = [
        Of::new("share", "SHARE", Kind::Share, move |part| {
            Cell::Share(part.objects as f64 / whole.max(1) as f64)
        }),
        Of::new("objects", "OBJECTS", Kind::Count, |part| Cell::Count(part.objects)),
        Of::new("name", title, NAME, |part| Cell::Name(part.name.clone())).rank(1),
    ];
    Table::new("shares", &columns, parts)
}
