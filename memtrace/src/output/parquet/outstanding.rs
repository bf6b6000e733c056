//! What is outstanding, a row for each object.

use std::{
    collections::HashSet,
    io::{self, Write},
    time::SystemTime,
};

use super::table::{Cell, Row, Table};
use crate::{
    stream::event::TimeNs,
    text::{escape, time::rfc3339},
    view::{
        event::Source,
        object::{Allocated, ObjectView},
    },
};

/// Rows at most: of more objects a sample is written, each of which stands for several.
pub const MAX_OBJECTS: usize = 10_000_000;

/// As of when objects are outstanding, and how sure that is.
pub struct Taken<'a> {
    /// When the session started, by the clock that events have.
    pub started: TimeNs,
    pub now: TimeNs,
    /// Caches of which some frees are not seen: their objects may be free.
    pub partial: HashSet<&'a str>,
}

/// Writes the objects, as they stood at this time of the session.
pub fn write<'a>(
    out: impl Write + Send,
    source: &Source,
    Taken { started, now, partial }: &Taken<'_>,
    objects: impl Iterator<Item = ObjectView<'a>>,
) -> io::Result<()> {
    let wall = |time: TimeNs| source.wall(time.wrapping_sub(*started) as i64);
    let taken = wall(*now);
    let of_table = [("table", "outstanding".to_owned()), ("taken", rfc3339(taken))];
    let mut table =
        Table::start(out, source, &of_table, &row(&ObjectView::default(), source, taken, taken, false))?;
    for object in objects {
        let is_partial = object.allocated.cache.is_some_and(|cache| partial.contains(cache));
        table.push(row(&object, source, taken, wall(object.time), is_partial))?;
    }
    table.finish()
}

fn row<'a>(
    object: &'a ObjectView<'_>,
    source: &'a Source,
    taken: SystemTime,
    time: SystemTime,
    is_partial: bool,
) -> Row<'a, 26> {
    let Allocated { cache, bytes, comm, pid, cgroup, call_site } = &object.allocated;
    let started_by = Some(&object.started_by[..]).filter(|chain| !chain.is_empty());
    let command = object.command.as_ref();
    let program = command.map(|command| &command.path[..]).filter(|path| !path.is_empty());
    let line = command.map(|command| command.line()).filter(|line| !line.is_empty());
    let command_line = line.map(|line| escape::column(&line).into_owned().into());
    [
        ("host", Cell::text(&source.host)),
        ("boot_id", Cell::text(&source.boot_id)),
        ("kernel", Cell::text(&source.kernel)),
        ("session_started", Cell::Time(Some(source.started))),
        ("taken", Cell::Time(Some(taken))),
        ("time", Cell::Time(Some(time))),
        ("age_ns", Cell::Count(Some(object.age.as_nanos() as u64))),
        ("object", Cell::Address(Some(object.address))),
        ("cache", Cell::bytes(cache.map(str::as_bytes))),
        ("bytes", Cell::Count(*bytes)),
        ("weight", Cell::Count(Some(object.weight))),
        ("comm", Cell::bytes(comm.as_deref())),
        ("pid", Cell::Pid(*pid)),
        ("process_tag", Cell::Count(Some(object.process_tag.into()))),
        ("program", Cell::bytes(program)),
        ("command_line", Cell::Text(command_line)),
        ("started_by", Cell::bytes(started_by)),
        ("cgroup", Cell::bytes(*cgroup)),
        ("call_site", Cell::bytes(call_site.as_ref().map(String::as_bytes))),
        ("directory", Cell::bytes(object.directory)),
        ("pattern", Cell::bytes(object.pattern)),
        ("filesystem", Cell::bytes(object.filesystem)),
        ("is_negative", Cell::Flag(object.is_negative)),
        ("tool", Cell::text(&source.tool)),
        ("node", Cell::Count(object.node.map(Into::into))),
        ("is_partial", Cell::Flag(Some(is_partial))),
    ]
}
