//! Where all memory is: by kind, by node, by process, by cgroup, by slab cache.

use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Room, Table},
        phrases,
    },
    procfs::cgroup::Version,
    triage::{
        page::{NodeRow, PartRow},
        window::{CacheRow, CgroupRow, ProcessRow},
    },
};

/// A part that is smaller and did not change is left out; it is in the sum all the same.
const MIN_PART: u64 = 64 << 10;

/// A name that is longer would push the figures out of sight.
const NAME: Kind = Kind::Text(Room { least: 16, good: 30, most: 60 });

pub fn memory(total: u64, parts: &[PartRow]) -> Table {
    type Of<'a> = Column<'a, PartRow>;
    let columns = [
        Of::new("memory", "MEMORY", NAME, |row| Cell::words(row.part.name())).key(),
        // It is what is left of the sum, and may be less than nothing.
        Of::new("bytes", "NOW", Kind::Bytes, |row| match u64::try_from(row.bytes) {
            Ok(bytes) => Cell::Bytes(bytes),
            Err(_) => Cell::BytesChange(row.bytes),
        }),
        Of::share("share", "SHARE", move |row| row.bytes.max(0) as f64 / total.max(1) as f64).rank(2),
        Of::bytes_change("growth", "GREW", |row| row.growth).rank(1),
    ];
    let is_shown =
        |row: &&PartRow| row.bytes.unsigned_abs() >= MIN_PART || row.growth.unsigned_abs() >= MIN_PART;
    let mut table = Table::new("memory", &columns, parts.iter().filter(is_shown));
    table.total = Some(vec![Cell::Blank, Cell::Bytes(total), Cell::Share(1.0), Cell::Blank]);
    table
}

pub fn nodes(nodes: &[NodeRow]) -> Table {
    type Of<'a> = Column<'a, NodeRow>;
    let columns = [
        Of::new("node", "NUMA", NAME, |node| Cell::words(format!("node {}", node.number))).key(),
        Of::bytes("total", "TOTAL", |node| node.total).rank(1),
        Of::bytes("free", "FREE", |node| node.free).rank(2),
        Of::bytes("processes", "PROCESSES", |node| node.processes).rank(4),
        Of::bytes("files", "FILES", |node| node.files).rank(5),
        Of::bytes("shared", "SHARED", |node| node.shared).rank(6),
        Of::bytes("slab", "SLAB", |node| node.slab).rank(3),
    ];
    Table::new("nodes", &columns, nodes)
}

pub fn processes(rows: &[ProcessRow]) -> Table {
    type Of<'a> = Column<'a, ProcessRow>;
    let columns = [
        Of::new("process", "PROCESS", NAME, |row| Cell::name(&*row.comm)).key(),
        Of::new("pid", "PID", Kind::Figure, |row| Cell::Number(u64::from(row.pid))),
        Of::bytes("rss", "RSS", |row| row.resident).rank(1),
        Of::bytes_change("rss_growth", "GREW", |row| row.growth).rank(2),
        Of::bytes("anon", "OWN", |row| row.anon).rank(3),
        Of::bytes("pss", "PSS", |row| row.proportional).rank(4),
        Of::bytes_change("pss_growth", "GREW", |row| row.proportional_growth).rank(5),
    ];
    Table::new("processes", &columns, rows)
}

pub fn cgroups(rows: &[CgroupRow], version: Version) -> Table {
    type Of<'a> = Column<'a, CgroupRow>;
    let slab = if version == Version::V1 { "KERNEL" } else { "SLAB" };
    let columns = [
        Of::new("cgroup", "CGROUP (EXCLUDING CHILDREN)", NAME, |row| Cell::path(&*row.path)).key(),
        Of::bytes("memory", "MEMORY", |row| row.memory).rank(1),
        Of::bytes_change("growth", "GREW", |row| row.growth).rank(2),
        Of::bytes("slab", slab, |row| row.slab).rank(3),
        Of::bytes_change("slab_growth", "GREW", |row| row.slab_growth).rank(4),
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
        Of::bytes("bytes", "MEMORY", |row| row.bytes).rank(1),
        Of::bytes_change("growth", "GREW", |row| row.growth).rank(2),
        Of::count("objects", "OBJECTS", |row| row.objects).rank(3),
        Of::count_change("objects_growth", "GREW", |row| row.objects_growth).rank(4),
        Of::new("reclaim", "RECLAIM", Kind::Figure, |row| Cell::known(row.reclaimable, Cell::YesNo)).rank(5),
    ];
    Table::new("caches", &columns, rows)
}
