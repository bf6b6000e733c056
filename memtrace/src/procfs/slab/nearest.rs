//! Names that are similar to a misspelt one.

use strsim::normalized_damerau_levenshtein;

/// More would not help.
const MAX: usize = 5;

/// Below this, two names have nothing to do with each other (0 to 1).
const ALIKE: f64 = 0.6;

/// A shorter text is part of too many names to mean one.
const MIN_PART: usize = 3;

/// The names most like `wanted`: first those spelt alike, then those that contain it, the weightiest first. The case and
/// a glob's signs are left out of the comparison.
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = (&'a str, u64)>) -> Vec<String> {
    let wanted: String = wanted.to_lowercase().chars().filter(|c| !"*?[]".contains(*c)).collect();
    let mut ranked: Vec<(f64, u64, &str)> =
        names.filter_map(|(name, weight)| Some((likeness(&wanted, name)?, weight, name))).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)).then_with(|| a.2.cmp(b.2)));
    ranked.into_iter().take(MAX).map(|(.., name)| name.to_owned()).collect()
}

/// Zero where a name only contains what is wanted; None where it has nothing to do with it.
fn likeness(wanted: &str, name: &str) -> Option<f64> {
    let name = name.to_lowercase();
    let likeness = normalized_damerau_levenshtein(wanted, &name);
    if likeness >= ALIKE {
        return Some(likeness);
    }
    let is_part = wanted.chars().count() >= MIN_PART && name.contains(wanted);
    is_part.then_some(0.0)
}
