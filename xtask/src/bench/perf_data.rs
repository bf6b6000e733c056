//! Counts what is in a file that `perf record` wrote: samples, and samples that it lost. perf's own report says only how many
//! times it lost some.
//!
//! The format is tools/perf/Documentation/perf.data-file-format.txt in the kernel's tree: a header that says where
//! the records are, each record with its type and size in front.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

const MAGIC: &[u8; 8] = b"PERFILE2";
/// Where in the header the place and the size of the records are.
const DATA_SECTION: u64 = 40;
const RECORD_HEADER: usize = 8;

const LOST: u32 = 2;
const SAMPLE: u32 = 9;
const LOST_SAMPLES: u32 = 13;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub samples: u64,
    pub lost: u64,
}

pub fn count(path: &Path) -> io::Result<Counts> {
    count_in(BufReader::with_capacity(1 << 20, File::open(path)?))
}

fn count_in<R: Read + Seek>(mut file: BufReader<R>) -> io::Result<Counts> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(io::Error::other("this is no file of perf record"));
    }
    file.seek(SeekFrom::Start(DATA_SECTION))?;
    let start = number(&mut file)?;
    let mut left = number(&mut file)?;
    file.seek(SeekFrom::Start(start))?;
    let mut counts = Counts::default();
    while left >= RECORD_HEADER as u64 {
        let mut header = [0; RECORD_HEADER];
        file.read_exact(&mut header)?;
        let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let size = u16::from_ne_bytes([header[6], header[7]]);
        let Some(mut body) = usize::from(size).checked_sub(RECORD_HEADER) else {
            return Err(io::Error::other("a record is smaller than its header"));
        };
        left = left.saturating_sub(u64::from(size));
        match kind {
            SAMPLE => counts.samples += 1,
            // An event's id, and how many were lost.
            LOST if body >= 16 => {
                number(&mut file)?;
                counts.lost += number(&mut file)?;
                body -= 16;
            }
            LOST_SAMPLES if body >= 8 => {
                counts.lost += number(&mut file)?;
                body -= 8;
            }
            _ => {}
        }
        file.seek_relative(body as i64)?;
    }
    Ok(counts)
}

fn number(file: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, body: &[u64]) -> Vec<u8> {
        let size = (RECORD_HEADER + 8 * body.len()) as u16;
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(size.to_ne_bytes());
        bytes.extend(body.iter().flat_map(|number| number.to_ne_bytes()));
        bytes
    }

    fn file(records: &[Vec<u8>]) -> Vec<u8> {
        let data = records.concat();
        let mut bytes = MAGIC.to_vec();
        bytes.resize(DATA_SECTION as usize, 0);
        bytes.extend(104_u64.to_ne_bytes());
        bytes.extend((data.len() as u64).to_ne_bytes());
        bytes.resize(104, 0);
        bytes.extend(data);
        bytes.extend(b"what comes after the records");
        bytes
    }

    fn counted(bytes: Vec<u8>) -> io::Result<Counts> {
        count_in(BufReader::new(io::Cursor::new(bytes)))
    }

    #[test]
    fn samples_and_losses_are_counted() {
        let records = [
            record(SAMPLE, &[1, 2, 3]),
            record(LOST, &[77, 1000]),
            record(3, &[5]),
            record(SAMPLE, &[]),
            record(LOST, &[77, 1, 9]),
            record(LOST_SAMPLES, &[10, 9]),
        ];
        assert_eq!(counted(file(&records)).unwrap(), Counts { samples: 2, lost: 1011 });
        assert_eq!(counted(file(&[])).unwrap(), Counts::default());
    }

    #[test]
    fn what_is_no_such_file_is_an_error() {
        assert!(counted(b"PERFILE1 and more".to_vec()).is_err());
        assert!(counted(b"PERF".to_vec()).is_err());
        let mut cut = file(&[record(SAMPLE, &[1])]);
        cut.truncate(106);
        assert!(counted(cut).is_err());
        let mut empty_record = record(SAMPLE, &[]);
        empty_record[6] = 0;
        assert!(counted(file(&[empty_record])).is_err());
    }
}
