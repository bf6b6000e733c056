//! Where all memory is: by kind, by node, by process, by cgroup, by slab cache.

use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Room, Table},
        phrases,
    },
    procfs::cgroup::Version,
    triage::{
        page::{NodeRow, Page, PartRow},
        window::{CacheRow, CgroupRow, ProcessRow},
    },
};

/// A part that is smaller and did not change is left out; it is in the sum all the same.
const MIN_PART: u64 = 64 << 10;

/// A name that is longer would push the figures out of sight.
const NAME: Kind = Kind::Text(Room { least: 16, good: 30, most: 60 });

pub fn memory(page: &Page) -> Table {
    type Of<'a> = Column<'a, PartRow>;
    let total = page.total;
    let columns = [
        Of::new("memory", "MEMORY", NAME, |row| Cell::words(row.part.name())).key(),
        // It is what is left of the sum, and may be less than nothing.
        Of::new("bytes", "NOW", Kind::Bytes, |row| match u64::try_from(row.bytes) {
            Ok(bytes) => Cell::Bytes(bytes),
            Err(_) => Cell::BytesChange(row.bytes),
        }),
        Of::new("share", "SHARE", Kind::Share, move |row| {
            Cell::Share(row.bytes.max(0) as f64 / total.max(1) as f64)
        })
        .rank(2),
        Of::new("growth", "GREW", Kind::BytesChange, |row| Cell::BytesChange(row.growth)).rank(1),
    ];
    let is_shown =
        |row: &&PartRow| row.bytes.unsigned_abs() >= MIN_PART || row.growth.unsigned_abs() >= MIN_PART;
    let mut table = Table::new("memory", &columns, page.parts.iter().filter(is_shown));
    table.total = Some(vec![Cell::Blank, Cell::Bytes(total), Cell::Share(1.0), Cell::Blank]);
    table
}

pub fn nodes(nodes: &[NodeRow]) -> Table {
    type Of<'a> = Column<'a, NodeRow>;
    let bytes = |id, title, rank, bytes: fn(&NodeRow) -> u64| {
        Of::new(id, title, Kind::Bytes, move |node| Cell::Bytes(bytes(node))).rank(rank)
    };
    let columns = [
        Of::new("node", "NUMA", NAME, |node| Cell::words(format!("node {}", node.number))).key(),
        bytes("total", "TOTAL", 1, |node| node.total),
        bytes("free", "FREE", 2, |node| node.free),
        bytes("processes", "PROCESSES", 4, |node| node.processes),
        bytes("files", "FILES", 5, |node| node.files),
        bytes("shared", "SHARED", 6, |node| node.shared),
        bytes("slab", "SLAB", 3, |node| node.slab),
    ];
    Table::new("nodes", &columns, nodes)
}

pub fn processes(rows: &[ProcessRow]) -> Table {
    type Of<'a> = Column<'a, ProcessRow>;
    let columns = [
        Of::new("process", "PROCESS", NAME, |row| Cell::name(&*row.comm)).key(),
        Of::new("pid", "PID", Kind::Figure, |row| Cell::Number(u64::from(row.pid))),
        Of::new("rss", "RSS", Kind::Bytes, |row| Cell::Bytes(row.resident)).rank(1),
        Of::new("rss_growth", "GREW", Kind::BytesChange, |row| Cell::BytesChange(row.growth)).rank(2),
        Of::new("anon", "OWN", Kind::Bytes, |row| Cell::Bytes(row.anon)).rank(3),
        Of::new("pss", "PSS", Kind::Bytes, |row| Cell::known(row.proportional, Cell::Bytes)).rank(4),
        Of::new("pss_growth", "GREW", Kind::BytesChange, |row| {
            Cell::known(row.proportional_growth, Cell::BytesChange)
        })
        .rank(5),
    ];
    Table::new("processes", &columns, rows)
}

pub fn cgroups(rows: &[CgroupRow], version: Version) -> Table {
    type Of<'a> = Column<'a, CgroupRow>;
    let slab = if version == Version::V1 { "KERNEL" } else { "SLAB" };
    let columns = [
        Of::new("cgroup", "CGROUP (EXCLUDING CHILDREN)", NAME, |row| Cell::path(&*row.path)).key(),
        Of::new("memory", "MEMORY", Kind::Bytes, |row| Cell::Bytes(row.memory)).rank(1),
        Of::new("growth", "GREW", Kind::BytesChange, |row| Cell::BytesChange(row.growth)).rank(2),
        Of::new("slab", slab, Kind::Bytes, |row| Cell::known(row.slab, Cell::Bytes)).rank(3),
        Of::new("slab_growth", "GREW", Kind::BytesChange, |row| {
            Cell::known(row.slab_growth, Cell::BytesChange)
        })
        .rank(4),
    ];
    Table::new("cgroups", &columns, rows)
}

pub fn slab_caches(rows: &[CacheRow]) -> Table {
    type Of<'a> = Column<'a, CacheRow>;
    let name = |row: &CacheRow| {
        let name = Name { bytes: row.name.clone().into_bytes(), ..Name::default() };
        Cell::Name(name.tail(phrases::merged(row.aliases.len())))
    };
    let columns = [
        Of::new("cache", "SLAB CACHE", NAME, name).key(),
        Of::new("bytes", "MEMORY", Kind::Bytes, |row| Cell::Bytes(row.bytes)).rank(1),
        Of::new("growth", "GREW", Kind::BytesChange, |row| Cell::BytesChange(row.growth)).rank(2),
        Of::new("objects", "OBJECTS", Kind::Count, |row| Cell::Count(row.objects)).rank(3),
        Of::new("objects_growth", "GREW", Kind::CountChange, |row| Cell::CountChange(row.objects_growth))
            .rank(4),
        Of::new("reclaim", "RECLAIM", Kind::Figure, |row| Cell::known(row.reclaimable, Cell::YesNo)).rank(5),
    ];
    Table::new("caches", &columns, rows)
}
