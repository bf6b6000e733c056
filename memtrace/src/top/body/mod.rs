//! What a view comes to, before it is drawn: lines to select from, or a text.

mod pages;
mod trees;

use self::{
    pages::{cache_page, help, row_page},
    trees::{directories, stacks},
};
use super::{
    chart::clock,
    history::{History, Moment},
    state::{Page, State, View},
};
use crate::{
    output::{
        documents::report,
        model::{Block, Cell, Table, Tone},
        phrases, tables,
    },
    triage::{
        page::PartRow,
        sum::{Part, Sum},
    },
    view::{
        Snapshot,
        build::rows::by_rank,
        diff::{self, Order, Taken},
    },
};

pub enum Body {
    List(List),
    /// A text that scrolls.
    Text(Vec<Block>),
}

/// A line for each item.
pub struct List {
    pub table: Table,
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Tells it from the others, at other moments too.
    pub id: Vec<u8>,
    pub opens: Opens,
}

/// What Enter does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    Page(Page),
    /// Shows or hides what is in it.
    Branch,
    Nothing,
}

/// What is in front, in so many cells.
pub fn body(state: &State, history: &History, width: usize) -> Body {
    if state.has_help {
        return Body::Text(help());
    }
    let Some(moment) = state.moment(history) else {
        let words = if history.is_recording() { "reading …" } else { "waiting for the first figures …" };
        return Body::Text(vec![Block::sentence(words).tone(Tone::Quiet)]);
    };
    let snapshot = &moment.snapshot;
    match state.pages.last() {
        Some(Page::Row(keys)) => return Body::Text(row_page(keys, snapshot, history, width)),
        Some(Page::Cache(name)) => return Body::Text(cache_page(name, snapshot, history, width)),
        None => {}
    }
    let before = state.baseline.as_ref().map(|(_, before)| before);
    let list = match (state.view, before) {
        (View::Who, Some(before)) => changed_rows(&before.snapshot, snapshot, state),
        (View::Caches, Some(before)) => changed_caches(&before.snapshot, snapshot, state),
        (View::Who, None) => Ok(rows(snapshot, state)),
        (View::Caches, None) => Ok(caches(snapshot, state)),
        (View::Directories, _) => directories(snapshot, state),
        (View::Stacks, _) => stacks(snapshot, state),
        (View::Ages, _) => return Body::Text(ages(snapshot)),
        (View::Host, _) => return Body::Text(memory(moment, history)),
    };
    match list {
        Ok(list) => Body::List(list.filtered(state.shown_filter())),
        Err(why) => Body::Text(vec![Block::sentence(why).tone(Tone::Quiet)]),
    }
}

/// Where it is: the item that was selected, or whatever is at its place now.
pub fn selected(state: &State, items: &[Item]) -> usize {
    let selection = state.selection();
    let is_it = |item: &Item| !selection.id.is_empty() && item.id == selection.id;
    items.iter().position(is_it).unwrap_or(selection.at.min(items.len().saturating_sub(1)))
}

/// Tells rows apart.
fn id(keys: &[Vec<u8>]) -> Vec<u8> {
    keys.join(&0)
}

fn page_of_row(keys: &[Vec<u8>]) -> Item {
    Item { id: id(keys), opens: Opens::Page(Page::Row(keys.to_vec())) }
}

fn page_of_cache(name: &str) -> Item {
    Item { id: name.as_bytes().to_vec(), opens: Opens::Page(Page::Cache(name.to_owned())) }
}

fn rows(snapshot: &Snapshot, state: &State) -> List {
    let mut snapshot = Snapshot { sort: state.sort, ..snapshot.clone() };
    snapshot.rows.sort_by(|a, b| by_rank(a, b, state.sort));
    let items = snapshot.rows.iter().map(|row| page_of_row(&row.keys)).collect();
    List { table: tables::rows::table(&snapshot), items }.ordered(state)
}

fn caches(snapshot: &Snapshot, state: &State) -> List {
    let items = snapshot.caches.iter().map(|cache| page_of_cache(&cache.name)).collect();
    List { table: tables::slab_caches::table(snapshot), items }.ordered(state)
}

/// What is outstanding now and was not at the baseline; an error is why that cannot be said.
fn difference(before: &Snapshot, now: &Snapshot, state: &State) -> Result<crate::view::Difference, String> {
    let taken = |snapshot| Taken { snapshot, label: b"", boot: None, filters: "" };
    let order = Order { sort: state.sort, top: None };
    diff::difference(taken(before), taken(now), order).map_err(|why| format!("{why}; B ends the comparison"))
}

fn changed_rows(before: &Snapshot, now: &Snapshot, state: &State) -> Result<List, String> {
    let difference = difference(before, now, state)?;
    let items: Vec<Item> = difference.rows.iter().map(|row| page_of_row(&row.keys)).collect();
    if items.is_empty() {
        return Err(phrases::no_changes(&difference));
    }
    Ok(List { table: tables::difference::rows(&difference), items }.ordered(state))
}

fn changed_caches(before: &Snapshot, now: &Snapshot, state: &State) -> Result<List, String> {
    let difference = difference(before, now, state)?;
    let items: Vec<Item> = difference.caches.iter().map(|cache| page_of_cache(&cache.name)).collect();
    if items.is_empty() {
        return Err(phrases::no_changes(&difference));
    }
    Ok(List { table: tables::difference::caches(&difference, usize::MAX), items }.ordered(state))
}

impl List {
    fn ordered(mut self, state: &State) -> Self {
        if state.is_reversed {
            self.table.rows.reverse();
            self.items.reverse();
        }
        self
    }

    /// Only lines in which these words stand, small or capital. Sums are of all lines: they go.
    fn filtered(mut self, words: &str) -> Self {
        if words.is_empty() {
            return self;
        }
        let words = words.to_lowercase();
        let heads = &self.table.heads;
        let is_in = |cell: &Cell| match cell {
            Cell::Name(name) => phrases::with_tail(&name.bytes, &name.tail).to_lowercase().contains(&words),
            cell => cell.text().to_lowercase().contains(&words),
        };
        let shows =
            |cells: &Vec<Cell>| heads.iter().zip(cells).any(|(head, cell)| head.is_for_people && is_in(cell));
        let kept: Vec<bool> = self.table.rows.iter().map(shows).collect();
        let mut keep = kept.iter();
        self.table.rows.retain(|_| keep.next() == Some(&true));
        let mut keep = kept.iter();
        self.items.retain(|_| keep.next() == Some(&true));
        (self.table.rest, self.table.total) = (None, None);
        self
    }
}

fn ages(snapshot: &Snapshot) -> Vec<Block> {
    let ages = tables::ages::ages(&snapshot.ages);
    let cohorts = tables::ages::cohorts(snapshot);
    if ages.is_empty() && cohorts.is_empty() {
        return vec![Block::sentence(phrases::no_rows(snapshot)).tone(Tone::Quiet)];
    }
    let mut blocks = vec![Block::table(ages)];
    if !cohorts.is_empty() {
        blocks.push(Block::heading("Kept, by time of allocation: a leak keeps some of each part"));
        blocks.push(Block::table(cohorts));
    }
    blocks
}

/// Where all memory of the host is.
fn memory(moment: &Moment, history: &History) -> Vec<Block> {
    let Some(now) = &moment.memory else {
        let words = "A recording has the slab's share of the host's memory, and not the rest; memtrace triage has all of it.";
        let note = Block::sentence(words).tone(Tone::Quiet);
        return report::memory(&moment.snapshot).into_iter().chain([note]).collect();
    };
    let first = history.points().find_map(|(number, point)| Some((point, history.moment(number)?)));
    let (since, before) = first.map(|(point, first)| (point.time, first.memory.as_ref())).unzip();
    let before: &Sum = before.flatten().unwrap_or(now);
    let parts = Part::ALL.map(|part| PartRow {
        part,
        bytes: now.get(part),
        growth: now.get(part).saturating_sub(before.get(part)),
    });
    let since = since.map(|time| {
        let since = format!("GREW is since {}. memtrace triage says who it is.", clock(time));
        Block::sentence(since).tone(Tone::Quiet)
    });
    [Block::table(tables::triage::memory(now.total, &parts))].into_iter().chain(since).collect()
}
