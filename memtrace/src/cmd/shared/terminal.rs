//! What standard output is.

use std::{
    env,
    io::{self, IsTerminal as _},
    num::NonZeroUsize,
};

use clap::Args;

use super::{number, screen::Size};
use crate::output::render::terminal::{Frame, Style};

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
