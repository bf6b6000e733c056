//! The terminal: taken, and given back as it was, however this process ends but for SIGKILL.

use std::{
    cell::RefCell,
    io::{self, IsTerminal as _, Write, stdin, stdout},
    rc::Rc,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use crossterm::{
    cursor,
    event::{self, Event, KeyEventKind},
    execute, queue,
    style::Print,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    },
};
use ratatui::{Frame, Terminal, backend::CrosstermBackend, layout::Rect};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGTSTP;

use super::{keys::Key, mouse::Mouse};

/// Whether the terminal is ours.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether somebody sits at a terminal that understands more than lines, and it is ours: who runs in the background would be
/// stopped by the kernel.
pub fn is_interactive() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    // Of a terminal that controls nobody, the kernel does not say who is in front.
    let is_in_front =
        rustix::termios::tcgetpgrp(stdin()).map_or(true, |front| front == rustix::process::getpgrp());
    stdin().is_terminal() && stdout().is_terminal() && !is_dumb && is_in_front
}

pub struct Screen {
    terminal: Terminal<CrosstermBackend<Drawn>>,
    drawn: Drawn,
    has_mouse: bool,
}

/// Buttons and the wheel, by cells of any number; not each movement, as crossterm asks for.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// What was drawn and is not on the terminal yet. ratatui writes in many small pieces, of which a terminal could show the first
/// ones alone, and each wakes whoever reads them.
#[derive(Clone, Default)]
struct Drawn(Rc<RefCell<Vec<u8>>>);

impl Write for Drawn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    pub fn take(has_mouse: bool) -> io::Result<Self> {
        give_back_on_panic();
        take(has_mouse)?;
        let drawn = Drawn::default();
        let terminal = Terminal::new(CrosstermBackend::new(drawn.clone())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, drawn, has_mouse })
    }

    /// The terminal gets all of it at once, and shows it as a whole.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.drawn, BeginSynchronizedUpdate)?;
        self.terminal.draw(draw)?;
        queue!(self.drawn, EndSynchronizedUpdate)?;
        let bytes = self.drawn.0.take();
        let mut out = stdout();
        out.write_all(&bytes).and_then(|()| out.flush())
    }

    /// Whether the terminal tells of the mouse.
    pub fn set_mouse(&mut self, has_mouse: bool) -> io::Result<()> {
        self.has_mouse = has_mouse;
        execute!(stdout(), Print(if has_mouse { MOUSE_ON } else { MOUSE_OFF }))
    }

    pub fn area(&self) -> io::Result<Rect> {
        Ok(self.terminal.size()?.into())
    }

    /// What stands there may not be what was drawn. ratatui's own way asks the terminal where the cursor is, and the answer would
    /// be read as keys.
    pub fn redraw(&mut self) -> io::Result<()> {
        execute!(stdout(), Clear(ClearType::All))?;
        self.terminal = Terminal::new(CrosstermBackend::new(self.drawn.clone()))?;
        Ok(())
    }

    /// Stops this process as Ctrl-Z does; returns when it goes on.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        signal_hook::low_level::emulate_default_handler(SIGTSTP)?;
        take(self.has_mouse)?;
        self.redraw()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(has_mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    IS_TAKEN.store(true, SeqCst);
    let mouse = if has_mouse { MOUSE_ON } else { "" };
    execute!(stdout(), EnterAlternateScreen, cursor::Hide, Print(mouse)).inspect_err(|_| give_back())
}

/// Once, whoever comes first. A terminal that is gone cannot be given back.
fn give_back() {
    if IS_TAKEN.swap(false, SeqCst) {
        let _ = execute!(stdout(), Print(MOUSE_OFF), cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// A message on the screen that goes away is none.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
        }));
    });
}

/// What the user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Key(Key),
    Mouse(Mouse),
    Resized,
    /// It was not the user: there is something else to look at.
    Woken,
}

/// What the user does, read by a thread of its own: a terminal that is gone keeps crossterm's reader busy for ever, and must not
/// keep anybody else.
pub struct Keyboard {
    inputs: Receiver<Input>,
    sender: Sender<Input>,
}

impl Keyboard {
    pub fn listen() -> io::Result<Self> {
        let (sender, inputs) = channel();
        let typed = sender.clone();
        let read = move || {
            while let Ok(event) = event::read() {
                let input = match event {
                    Event::Key(key) if key.kind != KeyEventKind::Release => Key::of(key).map(Input::Key),
                    Event::Mouse(mouse) => Mouse::of(mouse).map(Input::Mouse),
                    Event::Resize(..) => Some(Input::Resized),
                    _ => None,
                };
                if input.is_some_and(|input| typed.send(input).is_err()) {
                    break;
                }
            }
        };
        thread::Builder::new().name("keys".to_owned()).spawn(read)?;
        Ok(Self { inputs, sender })
    }

    /// Wakes who waits for what comes next.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let sender = self.sender.clone();
        move || {
            let _ = sender.send(Input::Woken);
        }
    }

    /// Waits for what comes next, but not for longer than this.
    pub fn next(&self, most: Duration) -> Option<Input> {
        self.inputs.recv_timeout(most).ok()
    }
}

/// Whether nobody can see us any more: a closed window, a broken connection.
pub fn is_gone() -> bool {
    let stdin = stdin();
    let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut terminal, Some(&now)).is_ok() && terminal[0].revents().intersects(gone)
}
