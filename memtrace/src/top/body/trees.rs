//! Lines that are branches: each can be closed, and hides what is in it then.

use super::{Item, List, Opens};
use crate::{
    output::{
        model::{Cell, Table},
        tables::{self, stacks::CLOSED},
    },
    top::state::State,
    view::{Snapshot, calls},
};

/// Of all objects, what a branch of stacks has at least that is open at first.
const OPEN_FROM: f64 = 0.05;

/// Which lines of a tree can be seen, by their depths, each before those in it.
fn seen(depths: &[usize], is_closed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut below = None;
    let mut seen = Vec::new();
    for (at, &depth) in depths.iter().enumerate() {
        if below.is_some_and(|closed| depth > closed) {
            continue;
        }
        below = is_closed(at).then_some(depth);
        seen.push(at);
    }
    seen
}

/// Where dentries are.
pub(super) fn directories(snapshot: &Snapshot, state: &State) -> Result<List, String> {
    let all = &snapshot.directories;
    if all.is_empty() {
        return Err("no directories yet: they are of dentries whose names are known (-c dentry)".to_owned());
    }
    let depths: Vec<usize> = all.iter().map(|directory| directory.depth).collect();
    let has_branches = |at: usize| depths.get(at + 1).is_some_and(|next| *next > depths[at]);
    let is_closed = |at: usize| has_branches(at) && state.turned.contains(&all[at].path);
    let seen = seen(&depths, is_closed);
    let table = tables::directories::table(snapshot, 0.0);
    let rows = seen.iter().map(|&at| marked(table.rows[at].clone(), is_closed(at))).collect();
    let item = |&at: &usize| Item {
        id: all[at].path.clone(),
        opens: if has_branches(at) { Opens::Branch } else { Opens::Nothing },
    };
    Ok(List { items: seen.iter().map(item).collect(), table: Table { rows, is_whole: false, ..table } })
}

/// Says behind its name that there is more.
fn marked(mut cells: Vec<Cell>, is_closed: bool) -> Vec<Cell> {
    if let (Some(Cell::Name(name)), true) = (cells.first_mut(), is_closed) {
        name.tail = CLOSED.to_owned();
    }
    cells
}

/// What led to allocations.
pub(super) fn stacks(snapshot: &Snapshot, state: &State) -> Result<List, String> {
    if snapshot.stacks_period.is_none() {
        return Err("no call stacks: start with --stacks kernel, user or both".to_owned());
    }
    let stacks = snapshot.rows.iter().flat_map(|row| &row.stacks);
    let (all, branches) = calls::tree(stacks, state.from_outermost);
    if branches.is_empty() {
        return Err("no call stacks yet: one allocation in 32 has one".to_owned());
    }
    let id = |at: usize| branches[at].path.join("\0").into_bytes();
    let is_closed = |at: usize| {
        let is_small = (branches[at].objects as f64) < OPEN_FROM * all as f64;
        branches[at].has_branches && (is_small != state.turned.contains(&id(at)))
    };
    let depths: Vec<usize> = branches.iter().map(|branch| branch.depth).collect();
    let seen = seen(&depths, is_closed);
    let shown: Vec<_> = seen.iter().map(|&at| (&branches[at], is_closed(at))).collect();
    let item = |&at: &usize| Item {
        id: id(at),
        opens: if branches[at].has_branches { Opens::Branch } else { Opens::Nothing },
    };
    Ok(List { table: tables::stacks::table(&shown, all), items: seen.iter().map(item).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_branch_hides_what_is_in_it() {
        let depths = [0, 1, 2, 2, 1, 0, 1];
        assert_eq!(seen(&depths, |_| false), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(seen(&depths, |at| at == 1), [0, 1, 4, 5, 6]);
        assert_eq!(seen(&depths, |at| at == 0), [0, 5, 6]);
        assert_eq!(seen(&depths, |at| at == 0 || at == 5), [0, 5]);
    }
}
