//! How a table reaches its reader: on a terminal one block that refreshes in place, elsewhere plain blocks one
//! after the other.
//!
//! No alternate screen: what stood on the terminal before stays, and the last block stays after the session. That one is
//! whole, however low the window is: it scrolls.
//!
//! Where a window gets smaller, the terminal itself moves the lines that no longer fit into what it scrolls back to, and nobody can
//! take them away there: of each such time, part of a block stays.

use std::{
    io::{self, IsTerminal as _, Stdout, Write},
    num::NonZeroUsize,
};

use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::{cursor, queue};

use super::terminal::{Size, WidthArgs};
use crate::{
    output::{
        Output, Shown,
        documents::report,
        model::Keep,
        render::terminal::{self, Frame, Line, Style},
        shown,
    },
    text::width,
    view::Snapshot,
};

/// Shows snapshots as tables.
pub struct Screen<W: Write> {
    out: W,
    width: WidthArgs,
    place: Place,
}

enum Place {
    Terminal(Terminal),
    /// A pipe or a file.
    Stream(Stream),
}

/// What was written already.
#[derive(Default)]
struct Stream {
    begun: bool,
    said_what_was_there: bool,
}

struct Terminal {
    style: Style,
    size: Box<dyn FnMut() -> Size + Send>,
    /// Cells of each line of the block that stands on the terminal, the cursor being in the line below.
    drawn: Vec<usize>,
    /// The window's width when it was drawn.
    drawn_in: usize,
    cursor_hidden: bool,
}

impl Screen<Stdout> {
    /// The standard output, whatever it is. `style` only matters on a terminal. One that understands no control
    /// sequences gets plain blocks.
    pub fn stdout(style: Style, width: WidthArgs) -> Self {
        let out = io::stdout();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if out.is_terminal() && !dumb {
            Screen::terminal(out, style, width, Size::of_terminal)
        } else {
            Screen::stream(out, width)
        }
    }
}

impl<W: Write> Screen<W> {
    pub fn terminal(
        out: W,
        style: Style,
        width: WidthArgs,
        size: impl FnMut() -> Size + Send + 'static,
    ) -> Self {
        let terminal =
            Terminal { style, size: Box::new(size), drawn: Vec::new(), drawn_in: 0, cursor_hidden: false };
        Screen { out, width, place: Place::Terminal(terminal) }
    }

    pub fn stream(out: W, width: WidthArgs) -> Self {
        Screen { out, width, place: Place::Stream(Stream::default()) }
    }
}

impl<W: Write> Output for Screen<W> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let bytes = match &mut self.place {
            Place::Terminal(terminal) => terminal.refresh(snapshot, self.width)?,
            Place::Stream(stream) => stream.next(snapshot, self.width.frame(false)).into_bytes(),
        };
        // In one piece, so that no half of a block is ever seen.
        shown(self.out.write_all(&bytes).and_then(|()| self.out.flush()))
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        if let Place::Terminal(Terminal { cursor_hidden: true, .. }) = self.place {
            // Nobody is left to tell if this fails.
            let _ = queue!(self.out, cursor::Show).and_then(|()| self.out.flush());
        }
    }
}

impl Stream {
    /// The next block. What was there before the session is said once, and at the end.
    fn next(&mut self, snapshot: &Snapshot, frame: Frame) -> String {
        let mut blocks = report::block(snapshot);
        if self.said_what_was_there && !snapshot.is_final {
            blocks.retain(|block| block.keep != Keep::Already);
        }
        self.said_what_was_there |= snapshot.census.is_some();
        let gap = if std::mem::replace(&mut self.begun, true) { "\n" } else { "" };
        gap.to_owned() + &terminal::text(&blocks, frame, Style::Plain)
    }
}

impl Terminal {
    /// What turns the block that stands there into the next one.
    fn refresh(&mut self, snapshot: &Snapshot, width: WidthArgs) -> io::Result<Vec<u8>> {
        let size = (self.size)();
        let columns = usize::from(size.columns.max(1));
        // The cursor's line below the block is the window's last.
        let height = usize::from(size.rows.saturating_sub(1)).max(1);
        let asked = width.width.map_or(columns, NonZeroUsize::get);
        let frame = match snapshot.is_final {
            true => Frame::wide(asked),
            // Lines that wrap would not fit in height.
            false => Frame { width: Some(asked.min(columns)), height: Some(height) },
        };
        let lines = terminal::lines(&report::block(snapshot), frame);

        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate, cursor::Hide)?;
        self.to_top(columns, &mut bytes)?;
        if columns != self.drawn_in {
            // Lines that the terminal rewrapped hang together until they are cleared. Otherwise the block is only
            // written over, which does not flicker on terminals without synchronized updates either.
            queue!(bytes, Clear(ClearType::FromCursorDown))?;
        }
        for line in &lines {
            draw(line, columns, self.style, &mut bytes)?;
        }
        queue!(bytes, Clear(ClearType::FromCursorDown))?;
        if snapshot.is_final {
            queue!(bytes, cursor::Show)?;
        }
        queue!(bytes, EndSynchronizedUpdate)?;
        self.cursor_hidden = !snapshot.is_final;
        self.drawn_in = columns;
        self.drawn = lines.iter().map(|line| width::cells(line.text())).collect();
        Ok(bytes)
    }

    /// Moves the cursor to where the block begins. A terminal that got narrower since has rewrapped its lines,
    /// each into as many as it now takes; one that does not rewrap loses a few lines above the block instead.
    fn to_top(&self, columns: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let rows: usize = self.drawn.iter().map(|cells| cells.div_ceil(columns).max(1)).sum();
        bytes.push(b'\r');
        match u16::try_from(rows).unwrap_or(u16::MAX) {
            // Terminals take zero for one.
            0 => Ok(()),
            rows => queue!(bytes, cursor::MoveUp(rows)),
        }
    }
}

/// Writes the line over what stands there.
fn draw(line: &Line, columns: usize, style: Style, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.extend_from_slice(line.paint(style).as_bytes());
    // Behind the last column the cursor still stands on it, and clearing would take its character.
    if width::cells(line.text()) < columns {
        queue!(bytes, Clear(ClearType::UntilNewLine))?;
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::output::sample;

    /// Keeps what was written, also after the screen is gone.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn take(&self) -> Vec<u8> {
            std::mem::take(&mut self.0.lock().expect("no test panics while it writes"))
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panics while it writes").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const WINDOW: Size = Size { columns: 80, rows: 24 };

    fn plain(snapshot: &Snapshot, size: Size) -> String {
        let height = Some(usize::from(size.rows) - 1).filter(|_| !snapshot.is_final);
        terminal::text(
            &report::block(snapshot),
            Frame { width: Some(size.columns.into()), height },
            Style::Plain,
        )
    }

    fn contents(terminal: &vt100::Parser) -> String {
        let contents = terminal.screen().contents();
        let lines: Vec<&str> = contents.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned() + "\n"
    }

    /// A session that shows `snapshots` one after the other, each in a window of its size, on a terminal that
    /// had a shell's prompt on it. Returns what the last window shows and whether its cursor is hidden.
    fn session(steps: &[(Snapshot, Size)]) -> (String, bool) {
        let sizes = Arc::new(Mutex::new(WINDOW));
        let asked = Arc::clone(&sizes);
        let written = Written::default();
        let mut screen = Screen::terminal(written.clone(), Style::Colour, WidthArgs::default(), move || {
            *asked.lock().unwrap()
        });
        let mut all = b"$ memtrace\r\n".to_vec();
        let mut last = WINDOW;
        for (snapshot, size) in steps {
            *sizes.lock().unwrap() = *size;
            assert_eq!(screen.show(snapshot).unwrap(), Shown::Yes);
            all.extend(written.take());
            last = *size;
        }
        // To play all of it in the last window is what a terminal does that rewraps its lines.
        let mut terminal = sample::terminal(last.rows, last.columns);
        terminal.process(&all);
        (contents(&terminal), terminal.screen().hide_cursor())
    }

    #[test]
    fn refreshes_in_place() {
        let (screen, hidden) =
            session(&[(sample::dentry(), WINDOW), (sample::by_pid(), WINDOW), (sample::empty(), WINDOW)]);
        assert_eq!(screen, format!("$ memtrace\n{}", plain(&sample::empty(), WINDOW)));
        assert!(hidden);
    }

    /// On a terminal it stays; a file has it once, and at the end.
    #[test]
    fn what_was_there_before_is_said_once() {
        let going_on = Snapshot { is_final: false, ..sample::after_a_wreck() };
        let window = Size { columns: 120, rows: 60 };
        let (screen, _) = session(&[(going_on.clone(), window), (going_on.clone(), window)]);
        assert_eq!(screen.matches("already there: ").count(), 1, "{screen}");
        let written = Written::default();
        let mut file = Screen::stream(written.clone(), WidthArgs::default());
        let said = [&sample::verdict(), &going_on, &going_on, &sample::after_a_wreck()].map(|snapshot| {
            assert_eq!(file.show(snapshot).unwrap(), Shown::Yes);
            String::from_utf8(written.take()).unwrap().matches("already there: ").count()
        });
        assert_eq!(said, [0, 1, 0, 1]);
    }

    #[test]
    fn fills_the_window_and_no_more() {
        let (screen, _) = session(&[(sample::crowd(), WINDOW), (sample::crowd(), WINDOW)]);
        assert_eq!(screen, plain(&sample::crowd(), WINDOW));
        assert_eq!(screen.lines().count(), 23);
    }

    #[test]
    fn lines_as_wide_as_the_window_keep_their_last_character() {
        for columns in 20..100 {
            let size = Size { columns, rows: 200 };
            let (screen, _) = session(&[(sample::lossy(), size), (sample::by_pid(), size)]);
            assert_eq!(screen, format!("$ memtrace\n{}", plain(&sample::by_pid(), size)));
        }
    }

    #[test]
    fn a_window_that_got_narrower_is_left_clean() {
        let narrow = Size { columns: 40, rows: 40 };
        let (screen, _) = session(&[(sample::dentry(), WINDOW), (sample::dentry(), narrow)]);
        assert_eq!(screen, format!("$ memtrace\n{}", plain(&sample::dentry(), narrow)));
    }

    #[test]
    fn a_window_that_got_wider_or_lower_is_used() {
        let wide = Size { columns: 120, rows: 24 };
        let (screen, _) = session(&[(sample::dentry(), WINDOW), (sample::dentry(), wide)]);
        assert_eq!(screen, format!("$ memtrace\n{}", plain(&sample::dentry(), wide)));
        let low = Size { columns: 80, rows: 10 };
        let (screen, _) = session(&[(sample::crowd(), WINDOW), (sample::crowd(), low)]);
        assert_eq!(screen, plain(&sample::crowd(), low));
    }

    #[test]
    fn the_final_block_is_whole_and_gives_the_cursor_back() {
        let last = Snapshot { is_final: true, ..sample::crowd() };
        let window = Size { columns: 80, rows: 12 };
        let (screen, hidden) = session(&[(sample::crowd(), window), (last.clone(), window)]);
        assert!(!hidden);
        let whole = plain(&last, window);
        assert!(
            whole.lines().count() > 12 && whole.ends_with(&screen),
            "the rest of it has scrolled: {screen}"
        );
    }

    #[test]
    fn a_width_that_was_asked_for_holds_for_files_and_for_the_last_block() {
        let asked = WidthArgs { width: NonZeroUsize::new(200) };
        let last = Snapshot { is_final: true, ..sample::started() };
        let written = Written::default();
        let _ = Screen::terminal(written.clone(), Style::Plain, asked, || WINDOW).show(&last).unwrap();
        let on_terminal = String::from_utf8(written.take()).unwrap();
        let _ = Screen::stream(written.clone(), asked).show(&last).unwrap();
        let in_file = String::from_utf8(written.take()).unwrap();
        let wide = terminal::text(&report::block(&last), Frame::wide(200), Style::Plain);
        assert_eq!(in_file, wide);
        assert!(wide.lines().any(|line| width::cells(line) > 132 && on_terminal.contains(line)), "{wide}");
    }

    #[test]
    fn the_cursor_comes_back_however_the_session_ends() {
        let written = Written::default();
        let mut screen = Screen::terminal(written.clone(), Style::Plain, WidthArgs::default(), || WINDOW);
        let _ = screen.show(&sample::dentry()).unwrap();
        let mut terminal = sample::terminal(24, 80);
        terminal.process(&written.take());
        assert!(terminal.screen().hide_cursor());
        drop(screen);
        terminal.process(&written.take());
        assert!(!terminal.screen().hide_cursor());
    }

    #[test]
    fn a_screen_that_showed_nothing_writes_nothing() {
        let written = Written::default();
        drop(Screen::terminal(written.clone(), Style::Plain, WidthArgs::default(), || WINDOW));
        drop(Screen::stream(written.clone(), WidthArgs::default()));
        assert_eq!(written.take(), b"");
    }

    #[test]
    fn a_window_of_one_cell_is_survived() {
        let (screen, _) = session(&[(sample::dentry(), Size { columns: 1, rows: 1 })]);
        assert!(screen.lines().count() <= 1);
    }

    #[test]
    fn a_stream_gets_plain_blocks() {
        let written = Written::default();
        let mut screen = Screen::stream(written.clone(), WidthArgs::default());
        for snapshot in sample::all() {
            assert_eq!(screen.show(&snapshot).unwrap(), Shown::Yes);
        }
        let text = String::from_utf8(written.take()).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        let expect: Vec<String> = sample::all()
            .iter()
            .map(|snapshot| terminal::text(&report::block(snapshot), Frame::PAGE, Style::Plain))
            .collect();
        assert_eq!(text, expect.join("\n"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let mut gone = Screen::stream(Failing(io::ErrorKind::BrokenPipe), WidthArgs::default());
        assert_eq!(gone.show(&sample::dentry()).unwrap(), Shown::ReaderGone);
        let mut full = Screen::stream(Failing(io::ErrorKind::StorageFull), WidthArgs::default());
        assert_eq!(full.show(&sample::dentry()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
