//! A session from its start to its last report.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep_until};

use super::{
    census::{self, CensusError},
    censuses::{Censuses, Next},
    drain::{DRAIN_EVERY, MAX_DRAINED},
    error::SessionError,
    govern::Outcome,
    host,
    look_out::LOOK_EVERY,
    marks::Mark,
    options::Options,
    own_cost::Meter,
    reporter::Reporter,
    requests::{Request, Requests},
    setup::{self, Ready},
    signals::Signals,
    sink::{RecordingTarget, SinkConfig, SinkState, StreamTarget},
    state::{Session, State},
    wishes::Wishes,
};
use crate::{
    evidence::recording::Written,
    kernel::{attach::Attached, clock, events::Events, priority, stopped::Stopped},
    output::Output,
    rights::needs,
    stream::ledger::Applier,
    view::Census,
};

/// The first report comes this soon, however long the interval is: an engineer wants to see that it works.
const FIRST_REPORT: Duration = Duration::from_secs(1);

const MAX_DURATION: Duration = Duration::from_secs(u32::MAX as u64);

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Signal, duration or count; or the command has ended.
    Asked,
    /// Nobody reads the output any more.
    Unread,
    /// What it waited for holds.
    Met,
    /// It took too much of the host.
    OverBudget,
    /// The recording has reached its maximal size.
    RecordingFull,
    /// The recording cannot be written any more: it misses what is still in the rings.
    RecordingFailed,
}

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hangup {
    /// The terminal has gone, and so has whoever reads the reports.
    #[default]
    Ends,
    /// Somebody else listens to it.
    IsElsewhere,
}

/// What a session has beside its reports.
#[derive(Default)]
struct Beside {
    sink: Option<SinkConfig>,
    requests: Requests,
    hangup: Hangup,
    command: Option<Stopped>,
}

/// Runs a session until a signal, its duration or its count ends it.
pub async fn run(options: Options, output: Box<dyn Output + Send>) -> Result<(), SessionError> {
    run_with(options, output, Beside::default()).await.map(drop)
}

/// The same, until this command has ended.
pub async fn run_command(
    options: Options,
    output: Box<dyn Output + Send>,
    command: Stopped,
) -> Result<(), SessionError> {
    let beside = Beside { command: Some(command), ..Beside::default() };
    run_with(options, output, beside).await.map(drop)
}

/// The same, while somebody asks for other reports, or for changes. Says why it ended, where it took more of the host than it may.
pub async fn run_asked(
    options: Options,
    output: Box<dyn Output + Send>,
    requests: Requests,
    hangup: Hangup,
) -> Result<Option<String>, SessionError> {
    let beside = Beside { requests, hangup, ..Beside::default() };
    Ok(run_with(options, output, beside).await?.over_budget)
}

/// The same, while its events go to a stream.
pub async fn stream(
    options: Options,
    output: Box<dyn Output + Send>,
    target: StreamTarget,
) -> Result<(), SessionError> {
    let beside = Beside { sink: Some(SinkConfig::Stream(target)), ..Beside::default() };
    run_with(options, output, beside).await.map(drop)
}

/// The same, recorded, perhaps of a command. Returns the size of the recording.
pub async fn record(
    options: Options,
    output: Box<dyn Output + Send>,
    target: RecordingTarget,
    command: Option<Stopped>,
) -> Result<Written, SessionError> {
    let beside = Beside { sink: Some(SinkConfig::Recording(target)), command, ..Beside::default() };
    Ok(run_with(options, output, beside).await?.written.unwrap_or_default())
}

/// What is left of a session.
#[derive(Default)]
struct Finished {
    written: Option<Written>,
    /// Why it took more of the host than it may.
    over_budget: Option<String>,
}

async fn run_with(
    options: Options,
    output: Box<dyn Output + Send>,
    beside: Beside,
) -> Result<Finished, SessionError> {
    let Beside { sink, requests, hangup, command } = beside;
    let signals = if sink.is_some() { Signals::with_marks() } else { Signals::new() };
    let mut wishes = Wishes { signals: signals.map_err(SessionError::Signals)?, requests };
    if hangup == Hangup::IsElsewhere {
        wishes.signals.leave_hangup();
    }
    let Ready { mut attached, mut state, verification } = setup::set_up(&options, sink.as_ref())?;
    let applier = applier(&options, &mut state);
    put_ahead();
    let (mut meter, has_census) = (Meter::start(), census::is_wanted(&options));
    state.give_up_rights(&options, has_census, &mut meter, &attached.events);
    let mut session = state.start(&options, verification, sink, meter, applier)?;
    session.state.notes.extend(wishes.signals.mark_problem());
    if let Some(command) = command {
        wishes.signals.follow(command.go().await.map_err(SessionError::Command)?);
    }
    let at_start =
        has_census.then(|| census::of_session(&options, &session.state.kernel, &session.state.traced));
    let mut censuses = Censuses::start(&options, at_start);
    let reporter = Reporter::start(output);
    session.compare(&mut attached.events)?;
    let end = session.watch(&options, &mut attached, &reporter, &mut wishes, &mut censuses).await?;
    if end == End::Unread {
        drop(attached);
        session.finish_sink()?;
        return reporter.finish(None).map(|()| Finished::default()).map_err(SessionError::Output);
    }
    if end == End::RecordingFull {
        session.state.notes.push("the recording reached --max-size, and the session ended".to_owned());
    }
    // While everything is still traced. With a flood in the rings this would keep the probes on the host: then the last
    // comparison has to do.
    if session.drain(&mut attached.events)? < MAX_DRAINED {
        session.verify(&mut attached.events)?;
        session.compare(&mut attached.events)?;
        session.suspect_unseen(&mut attached.events)?;
    }
    // Following frees would cost the host more.
    let settle = if end == End::OverBudget { Duration::ZERO } else { options.settle };
    session.settle(&mut attached, settle, &mut wishes).await?;
    // Of a session that was short there is what was seen so far.
    if let Some(taken) = censuses.end().await {
        session.take_census(taken.census);
    }
    let mut events = attached.detach();
    session.drain_rest(&mut events).await?;
    let last = session.tick(&mut events, true)?;
    drop(events);
    let over_budget = session.state.budget.note().filter(|_| end == End::OverBudget).cloned();
    let written = session.finish_sink();
    reporter.finish(Some(last)).map_err(SessionError::Output)?;
    // One that the session did not see to its end: it gets its signals until then.
    wishes.signals.command_end().await;
    Ok(Finished { written: written?, over_budget })
}

/// A second thread is there from the start, in case that many events come. It begins with the rights of now.
fn applier(options: &Options, state: &mut State) -> Applier {
    if !options.readers.has_two(host::cpus()) {
        return Applier::default();
    }
    let keeps_rights = options.needs.is_none();
    let at_start = move || {
        put_ahead();
        if !keeps_rights {
            needs::keep_nothing_here();
        }
    };
    Applier::with_second_thread(at_start).unwrap_or_else(|error| {
        state
            .notes
            .push(format!("one thread follows all events, as a second one cannot be started: {error}"));
        Applier::default()
    })
}

/// Without the right to do so, a thread shares busy CPUs with all others.
fn put_ahead() {
    let _ = priority::put_ahead();
}

/// What a session waits for.
enum Wake {
    End,
    Request(Request),
    Mark(Mark),
    Report,
    /// The one that comes before the first interval is over.
    EarlyReport,
    Measure,
    LookOut,
    Drain,
    Census(Next),
}

struct Timers {
    drain: Interval,
    report: Interval,
    early_report: Option<Instant>,
    measure: Instant,
    /// When to look for what is waited for.
    look_out: Option<Instant>,
    end: Option<Instant>,
}

impl Timers {
    fn start(options: &Options, measure: Instant, looks_out: bool) -> Self {
        let start = Instant::now();
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            drain,
            report: every(options.interval),
            early_report: (options.has_early_report && options.interval > FIRST_REPORT)
                .then_some(start + FIRST_REPORT),
            measure,
            look_out: looks_out.then_some(start + LOOK_EVERY),
            end: options.duration.map(|duration| start + duration.min(MAX_DURATION)),
        }
    }

    /// From now on.
    fn report_every(&mut self, time: Duration) {
        if time != self.report.period() {
            self.report = every(time);
        }
    }

    /// In the order of their urgency.
    async fn next(&mut self, wishes: &mut Wishes, censuses: &mut Censuses) -> Wake {
        tokio::select! {
            biased;
            mark = wishes.signals.next() => mark.map_or(Wake::End, Wake::Mark),
            request = wishes.requests.next() => Wake::Request(request),
            () = sleep_until_some(self.end) => Wake::End,
            () = sleep_until_some(self.early_report) => {
                self.early_report = None;
                Wake::EarlyReport
            }
            _ = self.report.tick() => {
                self.early_report = None;
                Wake::Report
            }
            next = censuses.next() => Wake::Census(next),
            () = sleep_until(self.measure) => Wake::Measure,
            () = sleep_until_some(self.look_out) => {
                self.look_out = Some(Instant::now() + LOOK_EVERY);
                Wake::LookOut
            }
            _ = self.drain.tick() => Wake::Drain,
        }
    }
}

/// The first one is over after this time.
fn every(time: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + time, time);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

/// None: for ever.
async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Session {
    async fn watch(
        &mut self,
        options: &Options,
        attached: &mut Attached,
        reporter: &Reporter,
        wishes: &mut Wishes,
        censuses: &mut Censuses,
    ) -> Result<End, SessionError> {
        let mut timers = Timers::start(options, self.meter.due(), self.until.is_some());
        let mut reports = 0;
        // While objects are being forgotten there is nothing to report: then as soon as that is done.
        let mut is_due = false;
        loop {
            match timers.next(wishes, censuses).await {
                Wake::End | Wake::Request(Request::End) => return Ok(End::Asked),
                Wake::Request(Request::Look(view)) => self.look(*view),
                Wake::Request(Request::Change(options)) => {
                    timers.report_every(options.interval);
                    censuses.change(&options);
                    self.change(*options);
                }
                Wake::Request(Request::Report) | Wake::EarlyReport => is_due = true,
                // Whoever asked may have gone.
                Wake::Request(Request::Profile(reply)) => {
                    let _ = reply.send(self.profile(&mut attached.events)?);
                }
                Wake::Mark(mark) => self.mark(mark, &mut attached.events)?,
                // The last one is the final report.
                Wake::Report if options.count.is_some_and(|count| reports + 1 >= count) => {
                    return Ok(End::Asked);
                }
                Wake::Report => {
                    reports += 1;
                    is_due = true;
                }
                Wake::Census(next) => self.go_on_with(next, censuses, options),
                Wake::Measure if self.measure(&mut attached.events, censuses)? == Outcome::Over => {
                    return Ok(End::OverBudget);
                }
                Wake::Measure => timers.measure = self.meter.due(),
                Wake::LookOut if self.look_out(&mut attached.events)? => return Ok(End::Met),
                Wake::LookOut => {}
                Wake::Drain => {
                    // There is more: at once, but after signals and timers, or a flood would keep us here.
                    if self.drain(&mut attached.events)? == MAX_DRAINED {
                        timers.drain.reset_immediately();
                    }
                    self.sweep();
                    self.close_due_block(&attached.events)?;
                }
            }
            if is_due && !self.ledger.is_sweeping() {
                is_due = false;
                self.report(attached, reporter)?;
            }
            if let Some(end) = self.end_of_outputs(reporter) {
                return Ok(end);
            }
        }
    }

    fn go_on_with(&mut self, next: Next, censuses: &mut Censuses, options: &Options) {
        match next {
            Next::Begin => censuses.begin(options, &self.state.kernel),
            Next::TakenAtStart(taken) => {
                self.take_census(taken.census);
                self.latest_census = self.census.clone().filter(|_| censuses.are_repeated());
                self.unseen.begin(taken.panel, &mut self.ledger);
            }
            Next::Taken(Ok(census)) => self.latest_census = Some(census),
            // The last one stays, with its time.
            Next::Taken(Err(_)) => {}
        }
    }

    /// Without one, a note says why.
    fn take_census(&mut self, taken: Result<Census, CensusError>) {
        match taken {
            Ok(census) => self.census = Some(Arc::new(census)),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default();
                self.state.notes.push(format!("whose the slab is that was there before is not known: {why}"));
            }
        }
    }

    fn measure(&mut self, events: &mut Events, censuses: &mut Censuses) -> Result<Outcome, SessionError> {
        match self.meter.turn(events) {
            // What a census takes is bounded, and following fewer objects would not lower it.
            Some(_) if censuses.were_on() => Ok(Outcome::GoesOn),
            Some(used) => self.keep_within_cpu(used, events),
            None => Ok(Outcome::GoesOn),
        }
    }

    /// None while somebody takes what the session gives.
    fn end_of_outputs(&self, reporter: &Reporter) -> Option<End> {
        // A recording goes on whether anybody reads the reports or not.
        if reporter.is_unread() && !self.sink.as_ref().is_some_and(|sink| sink.is_recording()) {
            return Some(End::Unread);
        }
        match self.sink.as_ref()?.state() {
            SinkState::Open => None,
            SinkState::Full => Some(End::RecordingFull),
            SinkState::Failed => Some(End::RecordingFailed),
            SinkState::ReaderGone => Some(End::Unread),
        }
    }

    fn finish_sink(self) -> Result<Option<Written>, SessionError> {
        self.sink.map(|sink| sink.finish(clock::now())).transpose()
    }
}
