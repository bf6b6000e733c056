//! What reads recordings and the kernel's types, fed with any bytes: by the fuzzer, and by a test with what the fuzzer found.

use std::{fs::File, os::fd::AsRawFd as _, os::unix::fs::FileExt as _, path::PathBuf, time::Duration};

use memtrace::{
    evidence::{
        recording::{
            Block, Header, Reader,
            block::{About, Contents, Packer},
            definitions::Definitions,
            index,
            wire::Cursor,
        },
        replay::{self, Query, state::State, window::When},
    },
    kernel::{
        btf::{Btf, Bytes},
        layout::Layout,
        types::KernelTypes,
    },
    knowledge::incidents::Incidents,
    output::{
        documents, html, json, ndjson,
        render::{
            self,
            terminal::{Frame, Style},
        },
        tables,
    },
    select::filter::Filter,
    stream::ledger::OriginDetail,
    view::{By, Keys, Sort, build::ReportOptions},
};

/// Memory for some thousand objects.
const LEDGER_BYTES: u64 = 1 << 20;

/// The plain bytes of a block.
pub fn block(plain: &[u8]) {
    let Ok(block) = Block::read(plain) else { return };
    let header = Header { ledger_bytes: LEDGER_BYTES, ..Header::default() };
    let mut state = State::new(&header, Filter::default(), Incidents::built_in(), OriginDetail::default());
    state.define(block.definitions);
    block.columns.entries().map_while(Result::ok).for_each(|entry| state.apply(&entry));
}

pub fn definitions(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let Ok(definitions) = Definitions::read(&mut cursor) else { return };
    let mut again = Vec::new();
    definitions.put(&mut again);
    assert_eq!(Definitions::read(&mut Cursor::new(&again)), Ok(definitions));
}

pub fn index(bytes: &[u8]) {
    let Ok(places) = index::read(bytes, 1000) else { return };
    let mut again = Vec::new();
    index::put(&places, &mut again);
    assert_eq!(index::read(&again, places.len()), Ok(places));
}

/// As bytes of a file; and a body whose checksum is right.
pub fn header(bytes: &[u8]) {
    let _ = Header::read(bytes);
    let mut file = b"MEMTRACE\x01\0\0\0".to_vec();
    file.extend((bytes.len() as u32).to_le_bytes());
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    file.extend(bytes);
    let Ok((header, len)) = Header::read(&file) else { return };
    assert_eq!(len, file.len());
    assert_eq!(Header::read(&header.to_bytes()).map(|(again, _)| again), Ok(header));
}

/// A whole file: these bytes; or, where the first is odd, a file in order with blocks of them.
pub fn recording(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let bytes = if first % 2 == 0 { rest.to_vec() } else { in_order(rest) };
    let fd = rustix::fs::memfd_create("recording", rustix::fs::MemfdFlags::CLOEXEC).expect("there is memory");
    let file = File::from(fd);
    file.write_all_at(&bytes, 0).expect("there is memory");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let Ok(mut reader) = Reader::open(&path) else { return };
    reader.header.ledger_bytes = reader.header.ledger_bytes.min(LEDGER_BYTES);
    for (from, to) in [(None, None), (Some(When::After(Duration::from_secs(1))), Some(When::Peak))] {
        let by = Keys::new([By::Ancestors, By::Cache]).expect("they go together");
        let older = from.is_some().then_some(Duration::from_millis(1));
        let report_options = ReportOptions { by, sort: Sort::Growth, older, top: 5 };
        let incidents = Incidents::built_in();
        let ask = Query {
            report_options,
            filter: Filter::default(),
            incidents,
            from,
            to,
            call_sites: true,
            nodes: true,
        };
        if let Ok(report) = replay::report(&reader, &ask, &mut |_| {}) {
            show(&report, older);
        }
    }
}

fn show(report: &replay::Report, older: Option<Duration>) {
    let snapshot = &report.snapshot;
    json::line(snapshot).expect("all of it is JSON");
    ndjson::report(snapshot).expect("all of it is JSON");
    render::csv::text(&tables::rows::table(snapshot)).expect("each line has all fields");
    render::markdown::text(&documents::report::page(snapshot));
    render::terminal::text(&documents::report::block(snapshot), Frame::default(), Style::Plain);
    let profile = report.profile(older);
    let recorded = html::Recorded { file: b"a.mt", series: &report.series, profile: &profile };
    html::report(snapshot, recorded).expect("all of it can be shown");
}

/// As bytes of a file; and as types and strings behind a header that fits.
pub fn btf(bytes: &[u8]) {
    look_up(bytes);
    let [low, high, sections @ ..] = bytes else { return };
    let types_len = usize::from(u16::from_le_bytes([*low, *high])).min(sections.len());
    let [types_len, strings_len] = [types_len, sections.len() - types_len].map(|len| len as u32);
    let header = [0x0001_eb9f, 24, 0, types_len, types_len, strings_len];
    let header = header.iter().flat_map(|word| word.to_ne_bytes());
    look_up(&header.chain(sections.iter().copied()).collect::<Vec<_>>());
}

fn look_up(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(Bytes::Owned(bytes.to_vec()), None) else { return };
    let types = KernelTypes::from_bytes(Bytes::Owned(bytes.to_vec())).expect("it was read before");
    let _ = (Layout::from_types(&types), types.with_module(bytes.to_vec()));
    for ty in btf.types() {
        let name = String::from_utf8_lossy(ty.name());
        let _ = (types.size(&name), types.function(&name), types.nameless_enumerators(&name));
        let _ = types.tracepoint_argument(name.trim_start_matches("btf_trace_"), &name);
        for member in ty.members() {
            let _ = types.array_length(&name, &String::from_utf8_lossy(member.name));
        }
        for (enumerator, _) in ty.enumerators() {
            let _ = types.enumerator(&name, &String::from_utf8_lossy(enumerator));
        }
    }
}

/// The input in parts, each with its length before it: blocks, a second apart.
fn in_order(mut input: &[u8]) -> Vec<u8> {
    let mut file = Header { ledger_bytes: LEDGER_BYTES, ..Header::default() }.to_bytes();
    let mut packer = Packer::new().expect("there is memory");
    let mut sequence = 0;
    while let [low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (plain, rest) = rest.split_at(len);
        input = rest;
        file.resize(file.len().next_multiple_of(64), 0);
        let start = sequence * 1_000_000_000;
        let about =
            About { contents: Contents::Block, sequence, start, end: start + 1_000_000_000, entries: 1 };
        packer.pack(plain, about, &mut file).expect("it is short");
        sequence += 1;
    }
    file
}
