//! /proc/pressure/memory: how long tasks wait for memory.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    pub some: Stall,
    pub full: Stall,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Share of the last ten seconds, in percent.
    pub avg10: f64,
    /// Since the boot.
    pub total: Duration,
}

impl Pressure {
    /// None where the kernel was booted without it (`psi=0`), or is older.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let line = |kind: &str| text.lines().find_map(|line| stall(line.strip_prefix(kind)?));
        Some(Self { some: line("some ")?, full: line("full ").unwrap_or_default() })
    }
}

/// `avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn stall(words: &str) -> Option<Stall> {
    let value = |key: &str| words.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let avg10: f64 = value("avg10")?.parse().ok()?;
    let total = value("total")?.trim().parse().ok()?;
    avg10.is_finite().then_some(Stall { avg10, total: Duration::from_micros(total) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn some_and_full() {
        let text = b"some avg10=2.36 avg60=3.96 avg300=3.67 total=23723413\nfull avg10=0.12 avg60=0.00 avg300=0.00 total=7\n";
        let pressure = Pressure::parse(text).unwrap();
        assert_eq!(pressure.some, Stall { avg10: 2.36, total: Duration::from_micros(23_723_413) });
        assert_eq!(pressure.full, Stall { avg10: 0.12, total: Duration::from_micros(7) });
        assert_eq!(Pressure::parse(b"full avg10=0.12 total=7\n"), None);
        assert_eq!(Pressure::parse(b"some avg10=inf total=7\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pressure::parse(&bytes);
            let _ = Pressure::parse(&[b"some ", &*bytes].concat());
        }
    }
}
