//! /proc/sys/fs/dentry-state.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DentryState {
    pub all: u64,
    /// Kept for later only.
    pub unused: u64,
    /// Of the unused ones, names that do not exist. Linux commit af0c9af1b3f6 ("fs/dcache: Track & report number of
    /// negative dentries") (in v5.0).
    pub negative: u64,
}

impl DentryState {
    /// `72307 70994 45 0 16405 0`. The kernel sums up each CPU's changes, so that a count may come out below zero for a
    /// moment.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let numbers: Option<Vec<i64>> = text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        let numbers = numbers?;
        let number = |index: usize| numbers.get(index).map(|&number| number.max(0).unsigned_abs());
        Some(Self { all: number(0)?, unused: number(1)?, negative: number(4)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line() {
        let state = DentryState { all: 72_307, unused: 70_994, negative: 16_405 };
        assert_eq!(DentryState::parse(b"72307\t70994\t45\t0\t16405\t0\n"), Some(state));
        assert_eq!(
            DentryState::parse(b"5 -1 45 0 -3 0").unwrap(),
            DentryState { all: 5, ..Default::default() }
        );
        assert_eq!(DentryState::parse(b"72307 70994 45 0"), None);
        assert_eq!(DentryState::parse(b"1 2 3 4 x 0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = DentryState::parse(&bytes);
        }
    }
}
