//! What the numbers in events mean: caches, processes, cgroups, places in the kernel, stacks.
//!
//! Texts that repeat stand there once and are copied where they are read: how much that may come to is bounded.

use std::{collections::HashMap, sync::Arc};

use super::{
    columns::comm,
    wire::{Cursor, Malformed, put_bool, put_bytes, put_list, put_option, put_varint},
};
use crate::{
    attribution::process::{Command, Definition},
    stream::event::{Address, CgroupId, Comm, ProcessId, StackId},
    view::lookups::CacheInfo,
};

/// Bytes that copies of texts take in one block at most. A thousand stacks' names take a megabyte.
const MAX_COPIED: usize = 64 << 20;

/// What a copy takes beside its text.
const COPY_BYTES: usize = 48;

/// As PATH_MAX; arguments are shorter.
const MAX_PATH: usize = 4096;

/// No slab object is larger. With what the ledger holds at most, bytes fit into 64 bits whatever a file says.
const MAX_OBJECT: u64 = 1 << 20;

/// All that one block needs, whatever came before it, and what changed since the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    pub caches: Vec<(Address, CacheInfo)>,
    pub processes: Vec<Definition>,
    /// Paths; None of those that were gone when they were looked for.
    pub cgroups: Vec<(CgroupId, Option<Vec<u8>>)>,
    /// Names of places in the kernel.
    pub call_sites: Vec<(Address, String)>,
    /// Names of calls, the innermost first.
    pub stacks: Vec<(StackId, Vec<String>)>,
}

impl Definitions {
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut texts = Texts::default();
        let mut body = Vec::new();
        self.put_body(&mut body, &mut texts);
        put_list(out, texts.list.iter(), |out, text| put_bytes(out, text));
        out.extend(body);
    }

    fn put_body<'a>(&'a self, out: &mut Vec<u8>, texts: &mut Texts<'a>) {
        put_list(out, self.caches.iter(), |out, (number, info)| {
            put_varint(out, *number);
            put_cache(out, info);
        });
        put_list(out, self.processes.iter(), |out, process| put_process(out, process, texts));
        put_list(out, self.cgroups.iter(), |out, (id, path)| {
            put_varint(out, *id);
            put_option(out, path.as_deref(), put_bytes);
        });
        put_list(out, self.call_sites.iter(), |out, (address, name)| {
            put_varint(out, *address);
            put_bytes(out, name.as_bytes());
        });
        put_list(out, self.stacks.iter(), |out, (id, frames)| {
            put_varint(out, (*id).into());
            put_list(out, frames.iter(), |out, frame| put_varint(out, texts.number(frame.as_bytes())));
        });
    }

    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut texts = Copies { texts: cursor.list(Cursor::bytes)?, left: MAX_COPIED };
        Ok(Self {
            caches: cursor.list(|cursor| Ok((cursor.varint()?, cache(cursor)?)))?,
            processes: cursor.list(|cursor| process(cursor, &mut texts))?,
            cgroups: cursor.list(|cursor| {
                Ok((cursor.varint()?, cursor.option(|cursor| Ok(cut(cursor.bytes()?).to_vec()))?))
            })?,
            call_sites: cursor.list(|cursor| Ok((cursor.varint()?, cursor.text()?)))?,
            stacks: cursor.list(|cursor| {
                let id = cursor.u32()?;
                let frames =
                    cursor.list(|cursor| Ok(String::from_utf8_lossy(texts.next(cursor)?).into_owned()))?;
                Ok((id, frames))
            })?,
        })
    }

    /// Bytes that copies of texts take.
    pub fn copied(&self) -> u64 {
        let command = |command: &Command| command.path.len() + command.arguments.len();
        let of_processes = self
            .processes
            .iter()
            .map(|process| process.chain.len() * COPY_BYTES + process.command.as_deref().map_or(0, command));
        let of_stacks =
            self.stacks.iter().flat_map(|(_, frames)| frames).map(|frame| COPY_BYTES + frame.len());
        of_processes.chain(of_stacks).sum::<usize>() as u64
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let Self { caches, processes, cgroups, call_sites, stacks } = self;
        caches.len() + processes.len() + cgroups.len() + call_sites.len() + stacks.len()
    }
}

/// Texts that repeat, each once.
#[derive(Default)]
struct Texts<'a> {
    list: Vec<&'a [u8]>,
    numbers: HashMap<&'a [u8], u64>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a [u8]) -> u64 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.list.push(text);
            self.list.len() as u64 - 1
        })
    }
}

/// Texts to be copied, with how much room there is still for copies.
struct Copies<'a> {
    texts: Vec<&'a [u8]>,
    left: usize,
}

impl<'a> Copies<'a> {
    /// The text whose number comes next.
    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<&'a [u8], Malformed> {
        let number = usize::try_from(cursor.varint()?).ok();
        let text = number.and_then(|number| self.texts.get(number)).copied();
        let text = text.ok_or(Malformed("the number of a text"))?;
        let left = self.left.checked_sub(text.len() + COPY_BYTES);
        self.left = left.ok_or(Malformed("texts that memory has room for"))?;
        Ok(text)
    }
}

fn cut(path: &[u8]) -> &[u8] {
    &path[..path.len().min(MAX_PATH)]
}

fn put_cache(out: &mut Vec<u8>, info: &CacheInfo) {
    let CacheInfo { name, aliases, object_size, reclaimable, slack, is_requested } = info;
    put_bytes(out, name.as_bytes());
    put_list(out, aliases.iter(), |out, alias| put_bytes(out, alias.as_bytes()));
    put_varint(out, *object_size);
    put_option(out, *reclaimable, put_bool);
    put_option(out, *slack, put_varint);
    put_bool(out, *is_requested);
}

fn cache(cursor: &mut Cursor<'_>) -> Result<CacheInfo, Malformed> {
    Ok(CacheInfo {
        name: cursor.text()?,
        aliases: cursor.list(Cursor::text)?,
        object_size: cursor.varint()?.min(MAX_OBJECT),
        reclaimable: cursor.option(Cursor::bool)?,
        slack: cursor.option(Cursor::figure)?,
        is_requested: cursor.bool()?,
    })
}

fn put_process<'a>(out: &mut Vec<u8>, process: &'a Definition, texts: &mut Texts<'a>) {
    let Definition { id, slack, comm, chain, command, has_ended } = process;
    put_varint(out, id.tgid.into());
    put_varint(out, id.started.into());
    put_varint(out, (*slack).into());
    put_bytes(out, comm.as_bytes());
    put_list(out, chain.iter(), |out, comm| put_varint(out, texts.number(comm.as_bytes())));
    put_option(out, command.as_deref(), |out, command| {
        put_varint(out, texts.number(&command.path));
        put_varint(out, texts.number(&command.arguments));
    });
    put_bool(out, *has_ended);
}

fn process(cursor: &mut Cursor<'_>, texts: &mut Copies<'_>) -> Result<Definition, Malformed> {
    Ok(Definition {
        id: ProcessId { tgid: cursor.u32()?, started: cursor.u32()? },
        slack: cursor.u32()?,
        comm: comm(cursor)?,
        chain: cursor.list(|cursor| texts.next(cursor).map(Comm::truncated))?,
        command: cursor.option(|cursor| {
            let (path, arguments) = (cut(texts.next(cursor)?).into(), cut(texts.next(cursor)?).into());
            Ok(Arc::new(Command { path, arguments }))
        })?,
        has_ended: cursor.bool()?,
    })
}
