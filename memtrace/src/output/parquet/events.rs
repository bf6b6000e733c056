//! All events, a row each.

use std::io::{self, Write};

use super::table::{Cell, Row, Table};
use crate::{
    output::events::EventOutput,
    view::{
        event::{EventKind, EventView, Source},
        object::Allocated,
    },
};

pub struct Events<W: Write + Send> {
    table: Table<W>,
    source: Source,
}

impl<W: Write + Send> Events<W> {
    pub fn start(out: W, source: Source) -> io::Result<Self> {
        let nothing = EventView::new(EventKind::Gap, 0);
        let of_table = [("table", "events".to_owned())];
        Ok(Self { table: Table::start(out, &source, &of_table, &row(&nothing, &source))?, source })
    }
}

impl<W: Write + Send> EventOutput for Events<W> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        self.table.push(row(event, &self.source))
    }

    /// A group of rows is written when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.table.finish()
    }
}

fn row<'a>(event: &'a EventView<'_>, source: &'a Source) -> Row<'a, 24> {
    let Allocated { cache, bytes, comm, pid, cgroup, call_site } = &event.allocated;
    let since = event.missing_since_ns.map(|since| source.wall(since));
    [
        ("host", Cell::text(&source.host)),
        ("boot_id", Cell::text(&source.boot_id)),
        ("kernel", Cell::text(&source.kernel)),
        ("session_started", Cell::Time(Some(source.started))),
        ("time", Cell::Time(Some(source.wall(event.elapsed_ns)))),
        ("elapsed_ns", Cell::Signed(Some(event.elapsed_ns))),
        ("is_time_of_reading", Cell::Flag(Some(event.is_time_of_reading))),
        ("kind", Cell::text(event.kind.into_str())),
        ("object", Cell::Address(event.object)),
        ("cache", Cell::bytes(cache.map(str::as_bytes))),
        ("bytes", Cell::Count(*bytes)),
        ("weight", Cell::Count(Some(event.weight.into()))),
        ("comm", Cell::bytes(comm.as_deref())),
        ("pid", Cell::Pid(*pid)),
        ("cgroup", Cell::bytes(*cgroup)),
        ("call_site", Cell::bytes(call_site.as_ref().map(String::as_bytes))),
        ("age_ns", Cell::Count(event.age.map(|age| age.as_nanos() as u64))),
        ("directory", Cell::bytes(event.directory)),
        ("name", Cell::bytes(event.name)),
        ("filesystem", Cell::bytes(event.filesystem)),
        ("is_negative", Cell::Flag(event.is_negative)),
        ("missing", Cell::Count(event.missing)),
        ("missing_since", Cell::Time(since)),
        ("tool", Cell::text(&source.tool)),
    ]
}
