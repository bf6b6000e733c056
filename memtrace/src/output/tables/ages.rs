//! How old outstanding objects are, and what is left of each part of the session.

use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Room, Table},
        phrases,
    },
    text::human,
    view::{AgeBucket, By, Cohort, Row, Snapshot},
};

/// The first rows, by what is left of what they allocated.
const ROWS: usize = 5;

pub fn ages(buckets: &[AgeBucket]) -> Table {
    type Of<'a> = Column<'a, AgeBucket>;
    let all: u64 = buckets.iter().map(|bucket| bucket.objects).sum();
    let share = move |bucket: &AgeBucket| bucket.objects as f64 / all as f64;
    let columns = [
        Of::new("age", "AGE", Kind::text(16, 16), |bucket| Cell::words(phrases::ages(bucket))),
        Of::count("objects", "OBJECTS", |bucket| bucket.objects),
        Of::bytes("bytes", "BYTES", |bucket| bucket.bytes),
        Of::share("share", "SHARE", share),
        Of::new("bar", "", Kind::Bar, move |bucket| Cell::Bar(share(bucket))).rank(1),
    ];
    let shown: &[AgeBucket] = if all == 0 { &[] } else { buckets };
    Table::new("ages", &columns, shown)
}

/// A line of the cohorts: its name, and a cell for each part of the session.
struct CohortLine {
    name: Cell,
    cells: Vec<Cell>,
}

/// Lines for all objects, one for each of the first rows. Nothing where there is nothing to compare.
pub fn cohorts(snapshot: &Snapshot) -> Table {
    let parts = &snapshot.cohorts;
    let is_idle = parts.iter().all(|part| part.allocs == 0);
    if parts.len() < 2 || is_idle {
        return Table::default();
    }
    let kept = |parts: &[Cohort]| parts.iter().map(|part| Cell::known(part.kept(), Cell::Share)).collect();
    // Of a path, or of several keys, the end tells rows apart.
    let is_path = snapshot.by.contains(By::Cgroup) || snapshot.by.iter().count() > 1;
    let of_row = |row: &Row| {
        let bytes = row.keys.join(&b", "[..]);
        let name = Cell::Name(Name { bytes, depth: 1, is_path, ..Name::default() });
        CohortLine { name, cells: kept(&row.cohorts) }
    };
    let allocated = parts.iter().map(|part| Cell::Count(part.allocs)).collect();
    let mut lines = vec![
        CohortLine { name: Cell::words("objects"), cells: allocated },
        CohortLine { name: Cell::words("kept"), cells: kept(parts) },
    ];
    lines.extend(snapshot.rows.iter().filter(|row| !row.cohorts.is_empty()).take(ROWS).map(of_row));
    let name = Kind::Text(Room { least: 8, good: 16, most: 16 });
    let mut columns =
        vec![Column::<CohortLine>::new("name", "ALLOCATED FROM", name, |line| line.name.clone()).rank(1)];
    columns.extend(parts.iter().enumerate().map(|(at, part)| {
        let cell = move |line: &CohortLine| line.cells.get(at).cloned().unwrap_or_default();
        Column::<CohortLine>::new("part", human::in_largest_unit(part.from), Kind::Count, cell)
    }));
    Table { is_whole: true, ..Table::new("cohorts", &columns, &lines) }
}
