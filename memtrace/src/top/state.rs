//! What the user wants to see.

use std::{collections::BTreeSet, sync::Arc};

use super::history::{History, Moment};
use crate::view::{By, Keys, Sort};

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum View {
    /// Rows, by whatever --by says
    #[default]
    Who,
    /// Slab caches
    Caches,
    /// Where dentries are
    Directories,
    /// What led to allocations
    Stacks,
    /// How old objects are, and what is kept of each part of the time
    Ages,
    /// All memory of the host
    Host,
}

impl View {
    pub const ALL: [Self; 6] =
        [Self::Who, Self::Caches, Self::Directories, Self::Stacks, Self::Ages, Self::Host];

    pub fn title(self) -> &'static str {
        match self {
            Self::Who => "who",
            Self::Caches => "caches",
            Self::Directories => "directories",
            Self::Stacks => "stacks",
            Self::Ages => "ages",
            Self::Host => "host",
        }
    }

    /// The one so many further, in a circle.
    pub fn turned(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// The page of one line of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    Row(Vec<Vec<u8>>),
    Cache(String),
}

/// What is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub asks: Asks,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Part of what is shown in a line.
    Filter,
    /// Globs of slab caches.
    Caches,
    /// A time, as `report --at` takes it.
    Time,
    /// What a mark is called.
    Mark,
    /// A file, whose ending says which format.
    File,
    /// A file to record into.
    Recording,
    /// One letter: what rows are grouped by.
    Group,
}

/// The line that keys move: where it is, and which it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub at: usize,
    pub id: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub view: View,
    /// Pages that are open, the one in front last.
    pub pages: Vec<Page>,
    pub by: Keys,
    pub sort: Sort,
    pub is_reversed: bool,
    /// Globs; empty for all.
    pub caches: Vec<String>,
    pub filter: String,
    pub prompt: Option<Prompt>,
    pub has_help: bool,
    /// Of each view.
    pub selections: [Selection; View::ALL.len()],
    /// Lines of a text that are above the screen.
    pub scroll: usize,
    /// The moment that is shown; None for the latest.
    pub at: Option<usize>,
    /// What is shown is what changed since this one.
    pub baseline: Option<(usize, Arc<Moment>)>,
    /// Branches of a tree that are not as they are at first.
    pub turned: BTreeSet<Vec<u8>>,
    /// Trees of stacks begin where calls began.
    pub from_outermost: bool,
    /// A recording is read on while it grows.
    pub follows: bool,
    /// The mouse does something here.
    pub has_mouse: bool,
    /// A recording was begun here, and goes on.
    pub is_recorded: bool,
    /// What came of the last key, until the next one.
    pub message: Option<String>,
}

impl State {
    pub fn new(by: Keys, sort: Sort) -> Self {
        Self {
            view: View::default(),
            pages: Vec::new(),
            by,
            sort,
            is_reversed: false,
            caches: Vec::new(),
            filter: String::new(),
            prompt: None,
            has_help: false,
            selections: Default::default(),
            scroll: 0,
            at: None,
            baseline: None,
            turned: BTreeSet::new(),
            from_outermost: false,
            follows: false,
            has_mouse: false,
            is_recorded: false,
            message: None,
        }
    }

    pub fn selection(&self) -> &Selection {
        &self.selections[self.view as usize]
    }

    pub fn select(&mut self, selection: Selection) {
        self.selections[self.view as usize] = selection;
    }

    /// The number of the moment that is shown.
    pub fn number(&self, history: &History) -> usize {
        self.at.unwrap_or_else(|| history.last())
    }

    /// The moment that is shown: of the latest, the latest that is there.
    pub fn moment<'h>(&self, history: &'h History) -> Option<&'h Moment> {
        match self.at {
            Some(number) => history.moment(number).map(|moment| &**moment),
            None => history.latest().map(|moment| &**moment),
        }
    }

    /// Part of what is typed filters already.
    pub fn shown_filter(&self) -> &str {
        match &self.prompt {
            Some(Prompt { asks: Asks::Filter, text }) => text,
            _ => &self.filter,
        }
    }
}

/// What rows can be grouped by, each with its letter.
pub const GROUPS: [(char, By); 9] = [
    ('c', By::Comm),
    ('p', By::Pid),
    ('a', By::Ancestors),
    ('g', By::Cgroup),
    ('s', By::Cache),
    ('i', By::CallSite),
    ('n', By::Node),
    ('f', By::Gfp),
    ('x', By::Context),
];
