//! The loop: what a source tells and what the user does become a state, and the state a screen.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ratatui::layout::Rect;
use signal_hook::{
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP},
    flag,
};

use super::{
    draw::{self, Drawing},
    history::History,
    keep,
    keys::Key,
    mouse::{self, Mouse},
    press::{Ask, press},
    recorder::Recorder,
    source::{Look, Source, Told},
    state::State,
    terminal::{Input, Keyboard, Screen, is_gone},
};
use crate::{evidence::Step, output::render::terminal::Style, view::Snapshot};

/// Keys and moments are waited for so long, then signals have their turn.
const TURN: Duration = Duration::from_millis(250);

/// Moments and keys between two screens at most: a flood of them should not keep the screen from being drawn.
const MAX_AT_ONCE: usize = 100;

/// One user at one terminal.
pub struct Top<S> {
    pub source: S,
    pub state: State,
    pub history: History,
    pub colours: Style,
    /// Files that are read: nothing is written over them.
    pub inputs: Vec<PathBuf>,
    /// Folders that files are written in; none for anywhere.
    pub written_in: Vec<PathBuf>,
    /// Options of `memtrace record` that make a recording of what is seen here.
    pub recorded: Vec<OsString>,
    recorder: Option<Recorder>,
    step: Option<Step>,
    is_over: bool,
}

/// Signals that came.
struct Signals {
    end: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    go_on: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let signals = Self { end: Arc::default(), stop: Arc::default(), go_on: Arc::default() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&signals.end))?;
        }
        flag::register(SIGTSTP, Arc::clone(&signals.stop))?;
        flag::register(SIGCONT, Arc::clone(&signals.go_on))?;
        Ok(signals)
    }
}

impl<S: Source> Top<S> {
    pub fn new(source: S, state: State, history: History, colours: Style) -> Self {
        Self {
            source,
            state,
            history,
            colours,
            inputs: Vec::new(),
            written_in: Vec::new(),
            recorded: Vec::new(),
            recorder: None,
            step: None,
            is_over: false,
        }
    }

    /// Until the user or the source ends it. Returns what was shown last, if it is of a recording: a session's last report is its
    /// own to show.
    pub fn run(mut self) -> io::Result<Option<Snapshot>> {
        let signals = Signals::listen()?;
        let mut screen = Screen::take(self.state.has_mouse)?;
        let keyboard = Keyboard::listen()?;
        self.source.bell().wakes(keyboard.waker());
        if self.history.is_recording() {
            self.show_missing();
        }
        let mut is_changed = true;
        while !self.is_over {
            is_changed |= self.take_told();
            if is_changed {
                self.draw(&mut screen)?;
            }
            is_changed = self.take_input(&keyboard, &mut screen)?;
            is_changed |= self.take_signals(&signals, &mut screen)?;
            is_changed |= self.take_recorded();
            if is_gone() {
                self.source.end();
                break;
            }
        }
        drop(screen);
        if let Some(recorder) = self.recorder.take() {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "{}", recorder.finish()?);
        }
        let shown = self.state.moment(&self.history).filter(|_| self.history.is_recording());
        Ok(shown.map(|moment| moment.snapshot.clone()))
    }

    fn draw(&self, screen: &mut Screen) -> io::Result<()> {
        let drawing = Drawing { colours: self.colours, step: self.step };
        screen.draw(|frame| draw::draw(frame, &self.state, &self.history, drawing))
    }

    /// Whether there was anything.
    fn take_told(&mut self) -> bool {
        let mut any = false;
        for _ in 0..MAX_AT_ONCE {
            let Some(told) = self.source.told() else { break };
            any = true;
            self.take(told);
        }
        any
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Next(moment) => self.history.add(*moment),
            Told::Moment(number, moment) => {
                self.step = None;
                self.history.put(number, *moment);
            }
            Told::Points(points) => self.history.extend(points),
            Told::Outstanding(bytes) => self.history.set_bytes(&bytes),
            Told::Series(series) => self.history.series = series,
            Told::Marks(marks) => self.history.add_marks(marks),
            Told::Step(step) => self.step = Some(step),
            Told::Failed(why) => {
                self.step = None;
                self.state.message = Some(why);
            }
            Told::Ended => self.is_over = true,
        }
    }

    /// Whether the user did anything.
    fn take_input(&mut self, keyboard: &Keyboard, screen: &mut Screen) -> io::Result<bool> {
        let (mut any, mut wait) = (false, TURN);
        for _ in 0..MAX_AT_ONCE {
            let Some(input) = keyboard.next(mem::replace(&mut wait, Duration::ZERO)) else { break };
            if input == Input::Woken {
                continue;
            }
            any = true;
            let ask = self.ask(input, screen.area()?);
            if let Some(ask) = ask {
                self.answer(ask, screen)?;
            }
        }
        Ok(any)
    }

    /// What the user did becomes the next state, and what else there is to do.
    fn ask(&mut self, input: Input, area: Rect) -> Option<Ask> {
        let Self { state, history, .. } = self;
        let seen = draw::seen(area, state, history);
        match input {
            Input::Key(key) => press(state, key, seen),
            Input::Mouse(Mouse::WheelUp) => mouse::turn_wheel(state, Key::Up, seen),
            Input::Mouse(Mouse::WheelDown) => mouse::turn_wheel(state, Key::Down, seen),
            Input::Mouse(Mouse::Click { column, row }) => {
                let target = draw::target(area, state, history, (column, row))?;
                mouse::click(state, target, seen)
            }
            Input::Resized | Input::Woken => None,
        }
    }

    fn take_signals(&mut self, signals: &Signals, screen: &mut Screen) -> io::Result<bool> {
        // A session gets them too, and a second wish to end would cut its settling short.
        if signals.end.swap(false, Relaxed) {
            self.ends();
        }
        if signals.stop.swap(false, Relaxed) {
            screen.suspend()?;
        }
        // Whoever stopped us by SIGSTOP may have changed the terminal.
        let goes_on = signals.go_on.swap(false, Relaxed);
        if goes_on {
            screen.redraw()?;
        }
        Ok(goes_on)
    }

    fn quit(&mut self) {
        self.source.end();
        self.ends();
    }

    fn ends(&mut self) {
        // A session ends when it has settled; its last report says what was.
        self.is_over = self.history.is_recording();
        self.state.message = Some("ending: following frees for a moment".to_owned());
    }

    fn answer(&mut self, ask: Ask, screen: &mut Screen) -> io::Result<()> {
        match ask {
            Ask::Quit => self.quit(),
            Ask::Suspend => screen.suspend()?,
            Ask::Redraw => screen.redraw()?,
            Ask::Look => self.look(),
            Ask::Show(number) => self.source.show(number),
            Ask::Mark(mark) => self.history.add_marks(vec![mark]),
            Ask::Follow(follows) => {
                self.source.follow(follows);
                self.show_missing();
            }
            Ask::Mouse(has_mouse) => screen.set_mouse(has_mouse)?,
            Ask::Record(path) => self.record(&path),
            Ask::EndRecording => {
                self.recorder.iter().for_each(Recorder::end);
                self.state.message = Some("the recording ends: following frees for a moment".to_owned());
            }
            Ask::Write(path) => self.state.message = Some(self.write(&path)),
            Ask::CommandLine => {
                let at = self.state.at.and_then(|number| self.history.point(number));
                let command = self.source.command(&Look::of(&self.state), at.map(|point| point.elapsed));
                self.state.message = Some(command);
            }
        }
        Ok(())
    }

    fn look(&mut self) {
        let look = Look::of(&self.state);
        if self.source.look(&look) && self.history.is_recording() {
            self.history.forget_moments();
        }
        self.show_missing();
    }

    /// Asks for what is to be shown.
    fn show_missing(&mut self) {
        let number = self.state.number(&self.history);
        if self.history.is_recording() && self.history.moment(number).is_none() {
            self.source.show(number);
        }
    }

    fn record(&mut self, path: &Path) {
        match Recorder::start(path, &self.recorded) {
            Ok(recorder) => {
                self.recorder = Some(recorder);
                self.state.is_recorded = true;
                self.state.message = Some(format!("recording into {}; R ends it", path.display()));
            }
            Err(error) => self.state.message = Some(format!("cannot record: {error}")),
        }
    }

    /// Whether a recording is over; then it says what there is.
    fn take_recorded(&mut self) -> bool {
        let Some(recorder) = &mut self.recorder else { return false };
        let said = match recorder.said() {
            Ok(None) => return false,
            Ok(Some(said)) => said,
            Err(error) => format!("nothing is known of the recording: {error}"),
        };
        (self.recorder, self.state.is_recorded) = (None, false);
        self.state.message = Some(said);
        true
    }

    fn write(&self, path: &Path) -> String {
        let Some(moment) = self.state.moment(&self.history) else { return "nothing is shown yet".to_owned() };
        let inputs: Vec<&Path> = self.inputs.iter().map(PathBuf::as_path).collect();
        let kept =
            keep::check(path, &self.written_in).and_then(|()| keep::write(path, &moment.snapshot, &inputs));
        match kept {
            Ok(()) => format!("wrote {}", path.display()),
            Err(error) => error.to_string(),
        }
    }
}
