//! What standard output is.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use super::screen::Size;
use crate::output::render::terminal::Style;

/// Columns of the window; None where the output is not a terminal: then nothing is cut.
pub fn width() -> Option<usize> {
    io::stdout().is_terminal().then(|| Size::of_terminal().columns.into())
}

/// Colour, unless the user does not want it; a pipe or file never gets any. See https://no-color.org.
pub fn style() -> Style {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if no_color { Style::Plain } else { Style::Colour }
}
