//! Looks at the host now and then, and has an episode recorded when a condition holds, somebody asks, or an alert comes.

use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{
    census,
    episode::Episodes,
    figures::Figures,
    machine::{Machine, State, Step},
    webhook::Webhook,
};
use crate::{
    condition::{Condition, Holding, Watch},
    serve::listen::{Listener, Socket},
    session::Signals,
    text::{escape, human},
};

/// Its parts, before it is at work.
pub struct Guard {
    pub watches: Vec<Watch>,
    pub figures: Figures,
    pub episodes: Episodes,
    /// How long is recorded.
    pub time: Duration,
    pub cool_down: Duration,
    /// Between two looks at the host.
    pub looks: Duration,
    /// Between two censuses; None: none are taken.
    pub censuses: Option<Duration>,
    /// For alerts.
    pub listener: Option<Listener>,
    pub audience: Box<dyn Audience + Send>,
    /// A sentence for the journal.
    pub say: fn(&str),
}

/// Who follows what it does.
pub trait Audience {
    /// At the beginning, with each look, and when something happens.
    fn is(&mut self, _state: State) {}
    /// A recording has ended. `finding` is what its bundle says; None where there is none.
    fn recorded(&mut self, reasons: &[String], finding: Option<String>, episodes: &Episodes);
    fn ends(&mut self) {}
    /// Of a session that traces in any case: whether somebody leaks or floods. None where there is none.
    fn has_finding(&self) -> Option<bool> {
        None
    }
}

/// What ends it, and then what ends it at once.
pub enum End {
    Signals(Box<Signals>),
    /// Somebody says so, or is gone; then signals.
    Told(oneshot::Receiver<()>),
    /// Nothing any more.
    Never,
}

impl End {
    async fn next(&mut self) {
        match self {
            Self::Signals(signals) => signals.end().await,
            Self::Told(told) => {
                let _ = told.await;
                *self = Signals::new().map_or(Self::Never, |signals| Self::Signals(Box::new(signals)));
            }
            Self::Never => pending().await,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("--webhook: {0}")]
    Webhook(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

type Episode = Pin<Box<dyn Future<Output = Option<String>>>>;

/// What is being recorded.
struct Ongoing {
    episode: Episode,
    /// Ends it early.
    end: oneshot::Sender<()>,
    reasons: Vec<String>,
}

/// What is neither a condition nor has a name of its own.
const ASKED: &str = "SIGUSR2";
const ALERT: &str = "alert";

impl Guard {
    pub async fn run(self, end: End) -> Result<(), GuardError> {
        let Self { watches, figures, episodes, time, cool_down, looks, censuses, listener, audience, say } =
            self;
        let at_work = AtWork {
            // Alerts are the last.
            machine: Machine::new(watches.len() + 1, cool_down),
            watches,
            figures,
            episodes: Rc::new(episodes),
            ongoing: None,
            start: Instant::now(),
            audience,
            time,
            say,
        };
        at_work.run(Rounds { looks, censuses }, listener, end).await
    }
}

/// What is done every so often.
struct Rounds {
    looks: Duration,
    censuses: Option<Duration>,
}

struct AtWork {
    machine: Machine,
    watches: Vec<Watch>,
    figures: Figures,
    episodes: Rc<Episodes>,
    ongoing: Option<Ongoing>,
    start: Instant,
    audience: Box<dyn Audience + Send>,
    time: Duration,
    say: fn(&str),
}

impl AtWork {
    async fn run(
        mut self,
        rounds: Rounds,
        listener: Option<Listener>,
        mut end: End,
    ) -> Result<(), GuardError> {
        let mut asked = signal(SignalKind::user_defined2()).map_err(GuardError::Signals)?;
        let mut ticks = ticks(rounds.looks);
        let mut webhook = listener.as_ref().map(webhook).transpose().map_err(GuardError::Webhook)?.flatten();
        self.say_armed();
        if let Some(time) = rounds.censuses {
            census::every(time, self.episodes.shelf.directory().to_owned(), self.say);
        }
        if let Some(listener) = &listener {
            (self.say)(&format!("alerts are taken at {}", listener.url(false)));
        }
        loop {
            tokio::select! {
                biased;
                () = end.next() => break,
                finding = running(&mut self.ongoing) => self.ended(finding),
                _ = ticks.tick() => self.look(),
                _ = asked.recv() => self.ask(),
                alert = alert(&mut webhook) => self.alert(&alert),
            }
        }
        self.end(&mut end).await;
        Ok(())
    }

    fn say_armed(&self) {
        let conditions: Vec<_> = self.watches.iter().map(|watch| quoted(watch.condition())).collect();
        let shelf = &self.episodes.shelf;
        let there = shelf.bundles().map_or(0, |bundles| bundles.len());
        let directory = escape::path(shelf.directory());
        (self.say)(&format!(
            "armed: {}; bundles go to {directory}, {there} are there",
            conditions.join(", ")
        ));
    }

    /// Looks at the host.
    fn look(&mut self) {
        let now = self.start.elapsed();
        let holding = self.figures.read(now, self.audience.has_finding(), &mut self.watches);
        match self.machine.take(now, &holding) {
            Step::Nothing => {}
            Step::Record(reasons) => {
                let why = self.why(&reasons, &holding);
                self.record(self.names(&reasons), &why);
            }
            Step::Joins(reasons) => {
                let why = self.why(&reasons, &holding);
                self.joins(self.names(&reasons), &why);
            }
        }
        self.audience.is(self.machine.state(now));
    }

    fn names(&self, numbers: &[usize]) -> Vec<String> {
        numbers.iter().map(|&number| self.watches[number].condition().to_string()).collect()
    }

    /// `'slab > 40%' holds: slab is ...`. After a cool-down nothing is known but that it goes on.
    fn why(&self, numbers: &[usize], holding: &[Holding]) -> String {
        let reason = |number: &usize| {
            let condition = quoted(self.watches[*number].condition());
            match &holding[*number] {
                Holding::Begins(why) => format!("{condition} holds: {why}"),
                Holding::GoesOn | Holding::No => format!("{condition} still holds"),
            }
        };
        numbers.iter().map(reason).collect::<Vec<_>>().join("; ")
    }

    /// Whatever holds.
    fn ask(&mut self) {
        let why = format!("{ASKED} asks for it");
        if self.machine.ask() {
            self.record(vec![ASKED.to_owned()], &why);
        } else {
            self.joins(vec![ASKED.to_owned()], &why);
        }
        self.audience.is(self.machine.state(self.start.elapsed()));
    }

    fn alert(&mut self, name: &str) {
        let (now, why) = (self.start.elapsed(), format!("the alert {name} fires"));
        match self.machine.happens(now, self.watches.len()) {
            Step::Nothing => (self.say)(&format!("{why}; not recorded again so soon")),
            Step::Record(_) => self.record(vec![ALERT.to_owned()], &why),
            Step::Joins(_) => self.joins(vec![ALERT.to_owned()], &why),
        }
        self.audience.is(self.machine.state(now));
    }

    fn record(&mut self, reasons: Vec<String>, why: &str) {
        (self.say)(&format!("{why}; recording for {}", human::round_duration(self.time)));
        let (end, ended) = oneshot::channel();
        let (episodes, say) = (Rc::clone(&self.episodes), self.say);
        let episode = Box::pin(async move { episodes.run(ended, say).await });
        self.ongoing = Some(Ongoing { episode, end, reasons });
    }

    fn joins(&mut self, reasons: Vec<String>, why: &str) {
        (self.say)(&format!("{why}; it is being recorded"));
        if let Some(ongoing) = &mut self.ongoing {
            ongoing.reasons.extend(reasons);
        }
    }

    fn ended(&mut self, finding: Option<String>) {
        let reasons = self.ongoing.take().map(|ongoing| ongoing.reasons).unwrap_or_default();
        let now = self.start.elapsed();
        self.machine.ended(now);
        self.audience.recorded(&reasons, finding, &self.episodes);
        self.audience.is(self.machine.state(now));
    }

    /// What is being recorded is completed with what there is, unless somebody is in a hurry.
    async fn end(mut self, hurry: &mut End) {
        self.audience.ends();
        let Some(Ongoing { episode, end, .. }) = self.ongoing else { return };
        (self.say)("ending; what was recorded so far is packed");
        let _ = end.send(());
        tokio::select! {
            _ = episode => {}
            () = hurry.next() => (self.say)("not recorded: ended at once"),
        }
    }
}

/// For ever where there is none.
async fn running(ongoing: &mut Option<Ongoing>) -> Option<String> {
    match ongoing {
        Some(ongoing) => (&mut ongoing.episode).await,
        None => pending().await,
    }
}

/// For ever where nobody can send one.
async fn alert(webhook: &mut Option<Webhook>) -> String {
    match webhook {
        Some(webhook) => webhook.next().await,
        None => pending().await,
    }
}

fn webhook(listener: &Listener) -> io::Result<Option<Webhook>> {
    match &listener.socket {
        Socket::Tcp(socket) => Webhook::listen(socket.try_clone()?).map(Some),
        Socket::Unix(_) => Ok(None),
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn quoted(condition: &Condition) -> String {
    format!("'{}'", escape::terminal(condition.to_string().as_bytes()))
}
