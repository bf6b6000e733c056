//! What rows are grouped by: a column for each key.

use crate::{
    output::model::{Cell, Column, Kind, Name},
    view::{By, Keys},
};

/// A command name in full: 15 bytes and the brackets of a kernel thread.
const COMM: usize = 17;
/// A node's number is short, but it may be unknown.
const NODE: usize = 9;
/// More than that, a key gets only if no other column wants the room.
const MAX_KEY: usize = 40;
pub(super) const MAX_CHAIN: usize = 60;
/// No pid is longer.
const PID_DIGITS: usize = 7;

pub fn title(by: By) -> &'static str {
    match by {
        By::Comm => "COMM",
        By::Pid => "PID",
        By::Ancestors => "COMM < STARTED BY",
        By::Cgroup => "CGROUP",
        By::Cache => "CACHE",
        By::CallSite => "CALL SITE",
        By::Node => "NODE",
        By::Gfp => "GFP",
        By::Context => "CONTEXT",
    }
}

fn kind(by: By) -> Kind {
    match by {
        By::Pid => Kind::Number(PID_DIGITS),
        By::Ancestors => Kind::text(COMM, MAX_CHAIN),
        By::Node => Kind::text(NODE, MAX_KEY),
        _ => Kind::text(COMM, MAX_KEY),
    }
}

/// `tail` stands behind a key.
pub(super) fn columns<'a, T: 'a>(
    by: &Keys,
    keys: fn(&T) -> &[Vec<u8>],
    tail: impl Fn(By, &[u8]) -> String + Clone + 'a,
) -> Vec<Column<'a, T>> {
    let column = |(at, by): (usize, By)| {
        let tail = tail.clone();
        // Lines that add rows up have none.
        let cell = move |row: &T| {
            let key = keys(row).get(at)?;
            Some(Cell::Name(Name { bytes: key.clone(), tail: tail(by, key), ..Name::default() }))
        };
        Column::new(format!("by_{}", by.into_str()), title(by), kind(by), cell).csv().key()
    };
    by.iter().enumerate().map(column).collect()
}

/// A command beside a pid, which alone says little.
pub(super) fn command<'a, T: 'a>(by: &Keys, comm: fn(&T) -> Option<&Vec<u8>>) -> Option<Column<'a, T>> {
    let says_it = |by: &Keys| by.contains(By::Comm) || by.contains(By::Ancestors);
    let column = || {
        let cell = move |row: &T| Cell::known(comm(row), |comm| Cell::name(&**comm));
        Column::new("command", title(By::Comm), kind(By::Comm), cell).key()
    };
    (by.contains(By::Pid) && !says_it(by)).then(column)
}
