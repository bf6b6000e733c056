//! A recording, written again with tokens for names.

use std::{collections::HashSet, sync::Arc};

use super::{LEFT_OUT, Redactor};
use crate::{
    attribution::process::{Command, Definition},
    evidence::{
        Step,
        recording::{
            Block, Encoder, Entry, Header, Place, Reader,
            block::{self, About, Contents, MAX_PLAIN, Packer, intact},
            columns::Common,
            definitions::Definitions,
            file::{Sink, WriteError},
        },
    },
    select::cgroup::NO_CGROUP,
    stream::{
        comm_pattern::NOTHING,
        event::{Alloc, Event, Label, Name, ProcessId, Task},
    },
};

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    pub blocks: u64,
    pub bytes: u64,
    /// Blocks that are damaged, or too long with tokens: they are not in the copy.
    pub left_out: u64,
}

/// Copies a recording, block by block.
pub fn rewrite(
    reader: &Reader,
    sink: &mut Sink,
    redactor: &Redactor,
    progress: &mut dyn FnMut(Step),
) -> Result<Rewritten, WriteError> {
    sink.begin(&redactor.header(&reader.header))?;
    let mut copy = Copy {
        redactor,
        kernel_threads: HashSet::new(),
        encoder: Encoder::default(),
        packer: Packer::new().map_err(WriteError::Pack)?,
    };
    let (mut rewritten, mut places) = (Rewritten::default(), Vec::new());
    for (done, place) in reader.places().iter().enumerate() {
        progress(Step { doing: "redacting", done, all: reader.places().len() });
        match copy.block(reader, place)? {
            Some(packed) => {
                let offset = sink.append(place.sequence, &packed)?.offset;
                places.push(Place { offset, ..*place });
            }
            None => rewritten.left_out += 1,
        }
    }
    // Without the index, one that was cut off says so still.
    rewritten.bytes = if reader.is_finished { sink.finish(&places, &mut copy.packer)? } else { sink.len() };
    rewritten.blocks = places.len() as u64;
    Ok(rewritten)
}

struct Copy<'a> {
    redactor: &'a Redactor,
    /// By what the kernel said of them: nobody else keeps a name.
    kernel_threads: HashSet<ProcessId>,
    encoder: Encoder,
    packer: Packer,
}

impl Copy<'_> {
    /// None where it cannot be read, or has become too long to be read.
    fn block(&mut self, reader: &Reader, place: &Place) -> Result<Option<Vec<u8>>, WriteError> {
        let Some(plain) = intact(reader.plain(place))? else { return Ok(None) };
        let Some(plain) = self.plain(reader, &plain)? else { return Ok(None) };
        if plain.len() > MAX_PLAIN {
            return Ok(None);
        }
        let Place { sequence, start, end, entries, .. } = *place;
        let about = About { contents: Contents::Block, sequence, start, end, entries };
        let mut packed = Vec::new();
        self.packer.pack(&plain, about, &mut packed).map_err(WriteError::Pack)?;
        Ok(Some(packed))
    }

    /// None where it is damaged.
    fn plain(&mut self, reader: &Reader, plain: &[u8]) -> Result<Option<Vec<u8>>, WriteError> {
        let Some(Block { definitions, mut footer, columns }) = intact(reader.block(plain))? else {
            return Ok(None);
        };
        footer.checkpoint.notes.iter_mut().for_each(redact_note);
        let census = footer.checkpoint.census.take();
        footer.checkpoint.census =
            census.map(|census| Arc::new(self.redactor.census(Arc::unwrap_or_clone(census))));
        let threads = columns.common.iter().filter(|Common { task, .. }| task.is_kthread);
        self.kernel_threads.extend(threads.map(|common| common.task.process()));
        // What is left of a block that could not be copied to its end.
        self.encoder = Encoder::default();
        for entry in columns.entries() {
            let Ok(entry) = entry else { return Ok(None) };
            self.redactor.entry(&entry, |entry| self.encoder.push(entry));
            reader.limits.check_steps(self.redactor.steps())?;
        }
        let definitions = self.redactor.definitions(definitions, &self.kernel_threads);
        reader.limits.check_steps(self.redactor.steps())?;
        let mut out = Vec::with_capacity(plain.len());
        block::put(&mut self.encoder, &definitions, &footer, &mut out);
        Ok(Some(out))
    }
}

/// Only notes on filters have names of processes and of cgroups in them.
fn redact_note(note: &mut String) {
    for beginning in [NOTHING, NO_CGROUP] {
        if note.starts_with(beginning) {
            *note = format!("{beginning}that was asked for {LEFT_OUT}");
        }
    }
}

impl Redactor {
    fn header(&self, header: &Header) -> Header {
        Header {
            command: self.command(&header.command),
            host: self.host(&header.host),
            boot_id: self.string(&header.boot_id),
            // Command names are among them.
            filters: if header.filters.is_empty() { String::new() } else { LEFT_OUT.to_owned() },
            ..header.clone()
        }
    }

    fn definitions(&self, definitions: Definitions, kernel_threads: &HashSet<ProcessId>) -> Definitions {
        let Definitions { caches, processes, cgroups, call_sites, stacks } = definitions;
        let process = |process: Definition| self.process(process, kernel_threads);
        Definitions {
            caches,
            processes: processes.into_iter().map(process).collect(),
            cgroups: cgroups.into_iter().map(|(id, path)| (id, path.map(|path| self.text(&path)))).collect(),
            call_sites,
            stacks: stacks.into_iter().map(|(id, frames)| (id, self.stack(frames))).collect(),
        }
    }

    fn process(&self, process: Definition, kernel_threads: &HashSet<ProcessId>) -> Definition {
        let command = |command: &Command| Command {
            path: self.text(&command.path).into(),
            arguments: self.text(&command.arguments).into(),
        };
        let keeps_name = kernel_threads.contains(&process.id);
        Definition {
            comm: if keeps_name { process.comm } else { self.comm(process.comm) },
            chain: process.chain.iter().map(|&comm| self.comm(comm)).collect(),
            command: process.command.as_deref().map(|known| command(known).into()),
            ..process
        }
    }

    fn task(&self, task: Task) -> Task {
        if task.is_kthread {
            return task;
        }
        // Events of one process come in runs.
        let (last, token) = self.last_comm.get();
        let token = if last == task.comm { token } else { self.comm(task.comm) };
        self.last_comm.set((task.comm, token));
        Task { comm: token, ..task }
    }

    fn entry(&self, entry: &Entry<'_>, push: impl FnOnce(&Entry<'_>)) {
        self.step(1);
        match *entry {
            Entry::Event(Event::Alloc(alloc)) => {
                push(&Alloc { task: self.task(alloc.task), ..alloc }.into());
            }
            Entry::Event(Event::Name(Name { dentry, name, parent })) => {
                let (name, parent) = (self.text(name), self.text(parent));
                push(&Name { dentry, name: &name, parent: &parent }.into());
            }
            Entry::Label(object, Label { kind, filesystem, directory, name, pattern }) => {
                let directory = self.directory(kind, directory);
                // Sockets of the internet have a pattern, and nothing else has.
                let pattern = pattern.map(|pattern| self.socket(pattern));
                let name = if pattern.is_some() { self.socket(name) } else { self.text(name) };
                let (directory, name, pattern) = (&directory[..], &name[..], pattern.as_deref());
                push(&Entry::Label(object, Label { kind, filesystem, directory, name, pattern }));
            }
            Entry::Mark(time, label) => push(&Entry::Mark(time, &self.mark(label))),
            Entry::Event(Event::Free(_)) | Entry::Refuted(_) | Entry::Period(_) | Entry::Read(_) => {
                push(entry);
            }
        }
    }
}
