//! For programs: one object a line, a stable interface. What is not known is not there.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::Serialize;

use super::{EventOutput, Source};
use crate::{
    output::json::{line_of, nanos},
    text::{escape, time::rfc3339},
    view::{event::EventView, object::Allocated},
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Session<'a> {
    r#type: &'static str,
    version: u32,
    tool: Cow<'a, str>,
    host: Cow<'a, str>,
    kernel: Cow<'a, str>,
    boot_id: Cow<'a, str>,
    started: String,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Line<'a> {
    r#type: &'static str,
    time: String,
    elapsed_ns: i64,
    #[serde(skip_serializing_if = "is_false")]
    is_time_of_reading: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comm: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_site: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_negative: Option<bool>,
    #[serde(skip_serializing_if = "is_one")]
    weight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_since_ns: Option<i64>,
}

fn is_false(is: &bool) -> bool {
    !is
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
        let text = |text: &'_ String| escape::json(text.as_bytes()).into_owned().into();
        let session = Session {
            r#type: "session",
            version: VERSION,
            tool: text(&source.tool),
            host: text(&source.host),
            kernel: text(&source.kernel),
            boot_id: text(&source.boot_id),
            started: rfc3339(source.started),
        };
        out.write_all(line_of(&session)?.as_bytes())?;
        Ok(Self { out, source })
    }
}

impl<W: Write> EventOutput for Ndjson<W> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        let Allocated { cache, bytes, comm, pid, cgroup, call_site } = &event.allocated;
        let line = Line {
            r#type: event.kind.name(),
            time: rfc3339(self.source.wall(event.elapsed_ns)),
            elapsed_ns: event.elapsed_ns,
            is_time_of_reading: event.is_time_of_reading,
            object: event.object.map(|address| format!("{address:#x}")),
            cache: cache.map(|cache| escape::json(cache.as_bytes())),
            bytes: *bytes,
            comm: comm.as_deref().map(escape::json),
            pid: *pid,
            cgroup: cgroup.map(escape::json),
            call_site: call_site.as_ref().map(|name| escape::json(name.as_bytes())),
            age_ns: event.age.map(nanos),
            directory: event.directory.map(escape::json),
            name: event.name.map(escape::json),
            filesystem: event.filesystem.map(escape::json),
            is_negative: event.is_negative,
            weight: event.weight,
            missing: event.missing,
            missing_since_ns: event.missing_since_ns,
        };
        self.out.write_all(line_of(&line)?.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
