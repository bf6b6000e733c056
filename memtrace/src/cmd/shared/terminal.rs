//! What standard output is.

use std::{
    env,
    io::{self, IsTerminal as _},
    num::NonZeroUsize,
};

use clap::Args;

use super::number;
use crate::output::render::terminal::{Frame, Style};

/// A window's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

impl Size {
    /// What a window that does not tell is taken for, as a serial console.
    pub const DEFAULT: Size = Size { columns: 80, rows: 24 };

    /// The size of the terminal that this process runs on, asked anew each time.
    pub fn of_terminal() -> Size {
        match crossterm::terminal::size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => Size { columns, rows },
            _ => Size::DEFAULT,
        }
    }
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub struct WidthArgs {
    /// Columns that tables may take [default: the terminal's, 132 elsewhere]
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub width: Option<NonZeroUsize>,
}

impl WidthArgs {
    /// For text that is printed whole, on a terminal or anywhere else.
    pub fn frame(self, is_terminal: bool) -> Frame {
        let asked = self.width.map(NonZeroUsize::get);
        match asked.or_else(|| width().filter(|_| is_terminal)) {
            Some(width) => Frame::wide(width),
            None => Frame::PAGE,
        }
    }
}

/// Columns of the window; None where the output is not a terminal.
pub fn width() -> Option<usize> {
    io::stdout().is_terminal().then(|| Size::of_terminal().columns.into())
}

/// Colour, unless the user does not want it; a pipe or file never gets any. See https://no-color.org.
pub fn style() -> Style {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if no_color { Style::Plain } else { Style::Colour }
}
