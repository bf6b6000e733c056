//! A census, with tokens for names.

use super::Redactor;
use crate::{
    stream::ledger::pattern::VARIABLE,
    view::{
        Census,
        census::{Place, Row},
    },
};

impl Redactor {
    /// Names of caches and types of filesystems are the kernel's.
    pub fn census(&self, census: Census) -> Census {
        let census = census.as_recorded();
        let rows = census.rows.into_iter().map(|row| self.row(row)).collect();
        Census { host: self.host(&census.host), rows, ..census }
    }

    fn row(&self, mut row: Row) -> Row {
        row.cgroup = row.cgroup.map(|path| self.text(&path));
        let is_flat = row.traits.place.as_ref().is_some_and(|place| place.is_flat);
        row.example = row.example.map(|name| if is_flat { self.socket(&name) } else { self.text(&name) });
        row.traits.place = row.traits.place.map(|place| self.place(place));
        row
    }

    /// Of a socket the protocol stays. What was looked at may begin with the kernel's own words: `pipefs:`.
    fn place(&self, place: Place) -> Place {
        if place.is_flat {
            return Place { pattern: self.socket(&place.pattern), ..place };
        }
        let Place { directory, pattern, .. } = &place;
        let path = directory.iter().position(|&byte| byte == b'/').unwrap_or(directory.len());
        let (kernels, path) = directory.split_at(path);
        Place { directory: [kernels, &self.text(path)].concat(), pattern: self.pattern(pattern), ..place }
    }

    /// What stands for the variable parts stays.
    fn pattern(&self, pattern: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = pattern;
        while let Some(at) = rest.windows(VARIABLE.len()).position(|part| part == VARIABLE) {
            out.extend(self.text(&rest[..at]));
            out.extend_from_slice(VARIABLE);
            rest = &rest[at + VARIABLE.len()..];
        }
        out.extend(self.text(rest));
        out
    }
}
