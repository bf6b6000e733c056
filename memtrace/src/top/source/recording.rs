//! A recording: each of its moments can be asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    time::{Duration, SystemTime},
};

use super::{
    Look, Source, Told,
    bell::{Bell, RingsAtEnd},
    options,
};
use crate::{
    evidence::{
        recording::{Place, Reader},
        replay::{Query, player::Player, window::wall},
    },
    select::filter::{Filter, FilterError},
    stream::event::TimeNs,
    text::shell,
    top::history::{Mark, Moment, Point},
    view::build::ReportOptions,
};

/// A recording that grows is looked at this often.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

pub struct Recording {
    asks: Sender<Ask>,
    told: Receiver<Told>,
    bell: Bell,
    command: Vec<String>,
    look: Look,
}

enum Ask {
    Look(Look),
    Show(usize),
    Follow(bool),
}

/// Makes a filter of globs of caches, beside what was asked for on the command line.
pub type FilterOf = Box<dyn Fn(&[String]) -> Result<Filter, FilterError> + Send>;

impl Recording {
    /// Reads in a thread of its own. Returns the moments that there are as well.
    pub fn start(
        path: &Path,
        player: Player,
        filter: FilterOf,
        look: Look,
        command: Vec<String>,
    ) -> std::io::Result<(Self, Vec<Point>)> {
        let points = points(&player, 0);
        let (asks, asked) = channel();
        let (tell, told) = channel();
        let bell = Bell::default();
        let work = Work {
            path: path.to_owned(),
            player,
            filter,
            told: Teller { told: tell, bell: RingsAtEnd(bell.clone()) },
            follows: false,
            shown: 0,
            outstanding: 0,
            written: None,
        };
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || work.run(&asked))?;
        Ok((Self { asks, told, bell, command, look }, points))
    }
}

impl Source for Recording {
    /// It has all rows that there is room for, so that another order takes no reading.
    fn look(&mut self, look: &Look) -> bool {
        let is_other = (&look.by, &look.caches) != (&self.look.by, &self.look.caches);
        if is_other {
            let _ = self.asks.send(Ask::Look(look.clone()));
        }
        self.look = look.clone();
        is_other
    }

    fn show(&mut self, number: usize) {
        let _ = self.asks.send(Ask::Show(number));
    }

    fn follow(&mut self, follows: bool) {
        let _ = self.asks.send(Ask::Follow(follows));
    }

    fn end(&mut self) {}

    fn bell(&self) -> Bell {
        self.bell.clone()
    }

    fn told(&mut self) -> Option<Told> {
        match self.told.try_recv() {
            Ok(told) => Some(told),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Told::Ended),
        }
    }

    fn command(&self, look: &Look, at: Option<Duration>) -> String {
        let at = at.map(|at| ["--at".to_owned(), format!("{}.{:09}s", at.as_secs(), at.subsec_nanos())]);
        shell::line(self.command.iter().cloned().chain(options(look)).chain(at.into_iter().flatten()))
    }
}

/// The moments from a block on.
fn points(player: &Player, from: usize) -> Vec<Point> {
    let reader = player.reader();
    let start = reader.places().first().map_or(0, |place| place.start);
    let is_after_gap = |place: &Place| reader.gaps().iter().any(|gap| gap.to == place.start);
    let point = |place: &Place| Point {
        time: wall(&reader.header, place.end),
        elapsed: Duration::from_nanos(place.end.saturating_sub(start)),
        // Of all that was recorded; what is shown of it is known when it has been read.
        bytes: (place.outstanding.bytes > 0).then_some(place.outstanding.bytes),
        is_after_gap: is_after_gap(place),
    };
    player.places().iter().skip(from).map(point).collect()
}

struct Teller {
    told: Sender<Told>,
    bell: RingsAtEnd,
}

impl Teller {
    /// Nobody may listen any more.
    fn tell(&self, told: Told) {
        if self.told.send(told).is_ok() {
            self.bell.0.ring();
        }
    }
}

struct Work {
    path: PathBuf,
    player: Player,
    filter: FilterOf,
    told: Teller,
    follows: bool,
    /// The moment that is shown.
    shown: usize,
    /// How many moments' bytes were told.
    outstanding: usize,
    /// The file's length, and when it was written to, when it was looked at last: a ring that is full does not grow.
    written: Option<(u64, SystemTime)>,
}

impl Work {
    /// Until nobody asks any more.
    fn run(mut self, asked: &Receiver<Ask>) {
        loop {
            let ask = if self.follows {
                match asked.recv_timeout(FOLLOW_EVERY) {
                    Ok(ask) => Some(ask),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                let Ok(ask) = asked.recv() else { return };
                Some(ask)
            };
            let Some(ask) = ask else {
                self.read_on();
                continue;
            };
            // Of several keys that were pressed meanwhile, the last place counts.
            let mut show = self.take(ask);
            while let Ok(ask) = asked.try_recv() {
                show = self.take(ask).or(show);
            }
            if let Some(number) = show {
                self.show(number);
            }
        }
    }

    /// The moment that is to be shown now, if it is another one.
    fn take(&mut self, ask: Ask) -> Option<usize> {
        match ask {
            Ask::Show(number) => return Some(number),
            Ask::Follow(follows) => self.follows = follows,
            Ask::Look(look) => match (self.filter)(&look.caches) {
                Ok(filter) => self.look(look, filter),
                Err(error) => self.told.tell(Told::Failed(error.to_string())),
            },
        }
        None
    }

    fn look(&mut self, look: Look, filter: Filter) {
        let query = self.player.query().clone();
        let report_options = ReportOptions { by: look.by, sort: look.sort, ..query.report_options };
        self.outstanding = 0;
        self.player.ask(Query { report_options, filter, ..query });
    }

    fn show(&mut self, number: usize) {
        self.shown = number;
        let told = &self.told;
        let mut step = |step| told.tell(Told::Step(step));
        match self.player.show(number, &mut step) {
            Ok(snapshot) => {
                let moment = Moment { snapshot, memory: None };
                self.told.tell(Told::Moment(number, Box::new(moment)));
                self.tell_more();
            }
            Err(error) => self.told.tell(Told::Failed(error.to_string())),
        }
    }

    /// What was learned on the way, if it is more than before.
    fn tell_more(&mut self) {
        let outstanding = self.player.outstanding();
        if outstanding.len() == self.outstanding {
            return;
        }
        self.outstanding = outstanding.len();
        self.told.tell(Told::Outstanding(outstanding.to_vec()));
        self.told.tell(Told::Series(self.player.series()));
        let marks = self.player.marks().iter().map(|(time, label)| self.mark(*time, label));
        self.told.tell(Told::Marks(marks.collect()));
    }

    /// A mark belongs to the last moment before it, which is exactly it.
    fn mark(&self, time: TimeNs, label: &[u8]) -> Mark {
        let moment = self.player.places().partition_point(|place| place.end <= time).saturating_sub(1);
        Mark { moment, label: label.to_vec() }
    }

    /// The recorder may have written more.
    fn read_on(&mut self) {
        let metadata = fs::metadata(&self.path).ok();
        let written = metadata.and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?)));
        if written == self.written {
            return;
        }
        self.written = written;
        let before = self.player.places().len();
        match Reader::open(&self.path) {
            Ok(reader) => self.player.read_on(reader),
            Err(error) => self.told.tell(Told::Failed(error.to_string())),
        }
        let points = points(&self.player, before);
        if !points.is_empty() {
            self.told.tell(Told::Points(points));
            self.show(self.player.places().len() - 1);
        }
    }
}
