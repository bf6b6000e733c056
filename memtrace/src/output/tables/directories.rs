//! Where dentries are, as a tree.

use crate::{
    output::model::{Cell, Column, Kind, Name, Room, Table},
    view::{Directory, Snapshot},
};

/// Below the least, paths tell too little.
const PATH: Kind = Kind::Text(Room { least: 24, good: 26, most: usize::MAX });

type Of<'a> = Column<'a, Directory>;

/// Of those that have at least this share of all dentries.
pub fn table(snapshot: &Snapshot, min_share: f64) -> Table {
    let columns = [
        Of::new("directory", "DIRECTORY AND ALL BELOW IT", PATH, name).rank(1),
        Of::count("dentries", "DENTRIES", |directory| directory.objects),
        Of::share("share", "SHARE", |directory| directory.share),
        Of::share("negative", "NEGATIVE", |directory| directory.negatives.share()),
        Of::new("filesystem", "FS", Kind::text(7, 16), |directory| {
            directory.filesystem.as_deref().map(Cell::name)
        })
        .rank(2),
    ];
    let shown = snapshot.directories.iter().filter(|directory| directory.share >= min_share);
    Table { is_whole: true, ..Table::new("directories", &columns, shown) }
}

/// Below its parent, without what that has said.
fn name(directory: &Directory) -> Cell {
    let rest = directory.path.get(directory.within..).unwrap_or_default();
    let slash = directory.depth > 0 && rest.starts_with(b"/");
    Cell::Name(Name {
        bytes: directory.path.clone(),
        depth: directory.depth,
        within: directory.within + usize::from(slash),
        is_path: true,
        ..Name::default()
    })
}
