//! Where moments come from: a session that runs, or a recording. Both work in threads of their own, and tell what they have.

pub mod bell;
pub mod live;
pub mod recording;

use std::time::Duration;

use self::bell::Bell;
use super::{
    history::{Mark, Moment, Point},
    state::{State, View},
};
use crate::{
    evidence::Step,
    view::{Keys, Sort, series::Series},
};

/// How moments are to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub by: Keys,
    pub sort: Sort,
    /// Globs; empty for all.
    pub caches: Vec<String>,
    pub view: View,
}

impl Look {
    pub fn of(state: &State) -> Self {
        let State { by, sort, caches, view, .. } = state;
        Self { by: by.clone(), sort: *sort, caches: caches.clone(), view: *view }
    }
}

pub trait Source {
    /// From now on moments are to be seen like this. Whether they are others then.
    fn look(&mut self, look: &Look) -> bool;

    /// A moment is to be shown, and is not remembered.
    fn show(&mut self, number: usize);

    /// A recording is read on while it grows.
    fn follow(&mut self, follows: bool);

    /// It is to end.
    fn end(&mut self);

    /// Rings when there is something to tell.
    fn bell(&self) -> Bell;

    /// What it has to tell, without waiting.
    fn told(&mut self) -> Option<Told>;

    /// The command that shows the same, up to a time since the start (None: its end).
    fn command(&self, look: &Look, at: Option<Duration>) -> String;
}

#[derive(Debug)]
pub enum Told {
    /// The next one of a session.
    Next(Box<Moment>),
    /// One of a recording.
    Moment(usize, Box<Moment>),
    /// A recording has these as well.
    Points(Vec<Point>),
    /// What was outstanding at the first moments of a recording.
    Outstanding(Vec<u64>),
    Series(Series),
    Marks(Vec<Mark>),
    Step(Step),
    Failed(String),
    /// The session is over.
    Ended,
}

/// The options of a look.
fn options(look: &Look) -> Vec<String> {
    let [by, sort, view] = [look.by.names(), look.sort.into_str().to_owned(), look.view.title().to_owned()];
    let mut words = vec!["--by".to_owned(), by, "--sort".to_owned(), sort, "--view".to_owned(), view];
    if !look.caches.is_empty() {
        words.extend(["-c".to_owned(), look.caches.join(",")]);
    }
    words
}
