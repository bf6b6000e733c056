//! Counts what is in a file that `perf record` wrote: samples, and samples that it lost. perf's own report says only how many
//! times it lost some.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context as _, Result};
use linux_perf_data::linux_perf_event_reader::{EventRecord, RawEventRecord, RecordType};
use linux_perf_data::{PerfFileReader, PerfFileRecord};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub samples: u64,
    pub lost: u64,
}

pub fn count(path: &Path) -> Result<Counts> {
    count_in(BufReader::with_capacity(1 << 20, File::open(path)?))
}

fn count_in<R: Read + Seek>(file: R) -> Result<Counts> {
    let PerfFileReader { mut perf_file, mut record_iter } = PerfFileReader::parse_file(file)?;
    let mut counts = Counts::default();
    while let Some(record) = record_iter.next_record(&mut perf_file)? {
        let PerfFileRecord::EventRecord { record, .. } = record else { continue };
        match record.record_type {
            RecordType::SAMPLE => counts.samples += 1,
            RecordType::LOST | RecordType::LOST_SAMPLES => counts.lost += lost(&record)?,
            _ => {}
        }
    }
    Ok(counts)
}

fn lost(record: &RawEventRecord) -> Result<u64> {
    let count = match record.parse()? {
        EventRecord::Lost(lost) => Some(lost.count),
        // The file is in the byte order of the machine that perf ran on: this one.
        EventRecord::Raw(raw) => raw.data.as_slice().first_chunk().copied().map(u64::from_ne_bytes),
        _ => None,
    };
    count.context("a record of lost samples is too short")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const HEADER: u64 = 104;
    const ATTRIBUTE: u64 = 64;
    const TRACEPOINT: u32 = 2;

    fn record(kind: RecordType, body: &[u64]) -> Vec<u8> {
        let size = (8 + 8 * body.len()) as u16;
        let mut bytes = kind.0.to_ne_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(size.to_ne_bytes());
        bytes.extend(body.iter().flat_map(|number| number.to_ne_bytes()));
        bytes
    }

    fn file(records: &[Vec<u8>]) -> Vec<u8> {
        let data = records.concat();
        let mut bytes = b"PERFILE2".to_vec();
        // The header's size, that of an attribute, and where the attributes and the data are.
        let places = [HEADER, ATTRIBUTE, HEADER, ATTRIBUTE, HEADER + ATTRIBUTE, data.len() as u64];
        bytes.extend(places.iter().flat_map(|place| place.to_ne_bytes()));
        bytes.resize(HEADER as usize, 0);
        bytes.extend([TRACEPOINT, ATTRIBUTE as u32].iter().flat_map(|number| number.to_ne_bytes()));
        bytes.resize((HEADER + ATTRIBUTE) as usize, 0);
        bytes.extend(data);
        bytes.extend(b"what comes after the records");
        bytes
    }

    fn counted(bytes: Vec<u8>) -> Result<Counts> {
        count_in(Cursor::new(bytes))
    }

    #[test]
    fn samples_and_losses_are_counted() {
        let records = [
            record(RecordType::SAMPLE, &[1, 2, 3]),
            record(RecordType::LOST, &[77, 1000]),
            record(RecordType::COMM, &[5]),
            record(RecordType::SAMPLE, &[]),
            record(RecordType::LOST, &[77, 1, 9]),
            record(RecordType::LOST_SAMPLES, &[10, 9]),
        ];
        assert_eq!(counted(file(&records)).unwrap(), Counts { samples: 2, lost: 1011 });
        assert_eq!(counted(file(&[])).unwrap(), Counts::default());
    }

    #[test]
    fn what_is_no_such_file_is_an_error() {
        assert!(counted(b"PERFILE1 and more".to_vec()).is_err());
        assert!(counted(b"PERF".to_vec()).is_err());
        let mut cut = file(&[record(RecordType::SAMPLE, &[1])]);
        cut.truncate(170);
        assert!(counted(cut).is_err());
        let mut empty_record = record(RecordType::SAMPLE, &[]);
        empty_record[6] = 0;
        assert!(counted(file(&[empty_record])).is_err());
    }
}
