//! For programs: one object a line, a stable interface. What is not known is not there.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::EventOutput;
use crate::{
    output::json::{line_of, nanos, objects},
    text::{escape, time::rfc3339},
    view::event::{EventView, Source},
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

objects! {
    struct Session<'a> of source: &'a Source {
        r#type: &'static str = "session",
        version: u32 = VERSION,
        tool: Cow<'a, str> = escape::json(source.tool.as_bytes()),
        host: Cow<'a, str> = escape::json(source.host.as_bytes()),
        kernel: Cow<'a, str> = escape::json(source.kernel.as_bytes()),
        boot_id: Cow<'a, str> = escape::json(source.boot_id.as_bytes()),
        started: String = rfc3339(source.started),
    }

    struct Line<'a> of event: &'a EventView<'a>, source: &Source {
        r#type: &'static str = event.kind.into_str(),
        time: String = rfc3339(source.wall(event.elapsed_ns)),
        elapsed_ns: i64,
        #[serde(skip_serializing_if = "std::ops::Not::not")] is_time_of_reading: bool,
        #[serde(skip_serializing_if = "Option::is_none")] object: Option<String> = event.object.map(|address| format!("{address:#x}")),
        #[serde(skip_serializing_if = "Option::is_none")] cache: Option<Cow<'a, str>> = event.allocated.cache.map(|name| escape::json(name.as_bytes())),
        #[serde(skip_serializing_if = "Option::is_none")] bytes: Option<u64> = event.allocated.bytes,
        #[serde(skip_serializing_if = "Option::is_none")] comm: Option<Cow<'a, str>> = event.allocated.comm.as_deref().map(escape::json),
        #[serde(skip_serializing_if = "Option::is_none")] pid: Option<u32> = event.allocated.pid,
        #[serde(skip_serializing_if = "Option::is_none")] cgroup: Option<Cow<'a, str>> = event.allocated.cgroup.map(escape::json),
        #[serde(skip_serializing_if = "Option::is_none")] call_site: Option<Cow<'a, str>> = event.allocated.call_site.as_deref().map(|name| escape::json(name.as_bytes())),
        #[serde(skip_serializing_if = "Option::is_none")] age_ns: Option<u64> = event.age.map(nanos),
        #[serde(skip_serializing_if = "Option::is_none")] directory: Option<Cow<'a, str>> = event.directory.map(escape::json),
        #[serde(skip_serializing_if = "Option::is_none")] name: Option<Cow<'a, str>> = event.name.map(escape::json),
        #[serde(skip_serializing_if = "Option::is_none")] filesystem: Option<Cow<'a, str>> = event.filesystem.map(escape::json),
        #[serde(skip_serializing_if = "Option::is_none")] is_negative: Option<bool>,
        #[serde(skip_serializing_if = "is_one")] weight: u32,
        #[serde(skip_serializing_if = "Option::is_none")] missing: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")] missing_since_ns: Option<i64>,
    }
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

pub struct Ndjson<W> {
    out: W,
    source: Source,
}

impl<W: Write> Ndjson<W> {
    /// Begins with a line about the session.
    pub fn start(mut out: W, source: Source) -> io::Result<Self> {
        out.write_all(line_of(&Session::of(&source))?.as_bytes())?;
        Ok(Self { out, source })
    }
}

impl<W: Write> EventOutput for Ndjson<W> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        self.out.write_all(line_of(&Line::of(event, &self.source))?.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
