//! Figures over time in the cells of a terminal, and the time of the day.

use std::time::SystemTime;

use crate::text::time::rfc3339_seconds;

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars, each the most of as many values as belong to it, in so many lines; the highest line first.
pub fn lines(values: &[Option<u64>], width: usize, height: usize) -> Vec<String> {
    let bars = columns(values, width);
    let most = bars.iter().flatten().copied().max().unwrap_or(0);
    let full = 8 * height as u64;
    let level = |bar: &Option<u64>| {
        let bar = bar.unwrap_or(0);
        // What is more than nothing can be seen.
        let level = (u128::from(bar) * u128::from(full)).div_ceil(u128::from(most.max(1)));
        level as u64
    };
    let line = |row: usize| {
        let below = 8 * (height - 1 - row) as u64;
        bars.iter().map(|bar| EIGHTHS[level(bar).saturating_sub(below).min(8) as usize]).collect()
    };
    (0..height).map(line).collect()
}

/// The most of the values that belong to each column. Where there are fewer values than columns, each has a column of its own.
fn columns(values: &[Option<u64>], width: usize) -> Vec<Option<u64>> {
    if values.len() <= width {
        return values.to_vec();
    }
    let mut columns = vec![None; width];
    for (at, value) in values.iter().enumerate() {
        let column = &mut columns[column(at, values.len(), width)];
        *column = (*column).max(*value);
    }
    columns
}

/// The column of a value.
pub fn column(at: usize, values: usize, width: usize) -> usize {
    if values <= width { at } else { at * width / values }
}

/// In UTC, without the date.
pub fn clock(time: SystemTime) -> String {
    let text = rfc3339_seconds(time);
    text.split_once('T').map_or(String::new(), |(_, time)| time.trim_end_matches('Z').to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn of(values: &[u64], width: usize, height: usize) -> Vec<String> {
        lines(&values.iter().copied().map(Some).collect::<Vec<_>>(), width, height)
    }

    #[test]
    fn bars() {
        assert_eq!(of(&[0, 1, 2, 3, 4, 5, 6, 7, 8], 20, 1), [" ▁▂▃▄▅▆▇█"]);
        assert_eq!(of(&[0, 4, 8], 3, 2), ["  █", " ██"]);
        assert_eq!(of(&[1, 9, 2, 2], 2, 1), ["█▂"]);
        assert_eq!(of(&[0, 0], 2, 1), ["  "]);
        assert_eq!(of(&[1, 1_000_000], 2, 1), ["▁█"], "what is there is seen");
        assert_eq!(of(&[u64::MAX, u64::MAX / 2], 2, 1), ["█▄"]);
        assert_eq!(lines(&[None, Some(5)], 2, 1), [" █"]);
    }

    proptest! {
        #[test]
        fn they_fit(values in vec(any::<Option<u64>>(), 0..300), width in 1_usize..80, height in 1_usize..6) {
            let lines = lines(&values, width, height);
            prop_assert_eq!(lines.len(), height);
            prop_assert!(lines.iter().all(|line| line.chars().count() == values.len().min(width)));
            prop_assert!((0..values.len()).all(|at| column(at, values.len(), width) < width));
        }
    }
}
