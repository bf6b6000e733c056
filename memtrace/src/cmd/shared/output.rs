//! Where the commands that make something of a recording write it, and as what those write that say one page.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use crate::evidence::output_file::{self, Target};

/// What a page is for: somebody who reads it, a program, a ticket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PageFormat {
    #[default]
    Table,
    Json,
    Markdown,
}

#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// Write to this file instead of standard output. It appears when it is complete, with mode 0600
    #[arg(long = "out", value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
}

impl OutputArgs {
    /// Whether somebody looks at it as it comes.
    pub fn is_terminal(&self) -> bool {
        output_file::is_stdout(self.path()) && io::stdout().is_terminal()
    }

    pub fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(output_file::STANDARD_OUTPUT))
    }

    /// What to open before the work begins. `inputs` are the files that the command reads.
    pub fn target<'a>(&'a self, is_binary: bool, inputs: &'a [&'a Path]) -> Target<'a> {
        Target { path: self.path(), replace: self.force, inputs, is_binary }
    }
}
