//! The man page: one for all commands, in roff.

use std::io;

use clap::Command;
use clap_mangen::Man;

use super::{DETAILS, EXAMPLES, definition};

pub fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let cli = Man::new(definition());
    cli.render_title(&mut page)?;
    cli.render_name_section(&mut page)?;
    page.extend_from_slice(synopsis().as_bytes());
    cli.render_description_section(&mut page)?;
    cli.render_options_section(&mut page)?;
    let commands: Vec<Command> = definition().get_subcommands().cloned().collect();
    page.extend_from_slice(b".SH COMMANDS\n");
    for command in &commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        page.extend_from_slice(
            format!(".TP\n\\fBmemtrace {}\\fR\n{}\n", command.get_name(), roff(&about)).as_bytes(),
        );
    }
    for command in commands {
        if command.get_arguments().next().is_some() {
            let heading = format!(".SH \"OPTIONS OF MEMTRACE {}\"", command.get_name().to_uppercase());
            let mut section = Vec::new();
            Man::new(command.disable_help_flag(true)).render_options_section(&mut section)?;
            page.extend_from_slice(
                String::from_utf8_lossy(&section).replacen(".SH OPTIONS", &heading, 1).as_bytes(),
            );
        }
    }
    for section in [EXAMPLES, DETAILS].iter().flat_map(|text| text.split("\n\n")) {
        let (heading, text) = section.split_once(":\n").unwrap_or_default();
        page.extend_from_slice(
            format!(".SH {}\n.nf\n{}\n.fi\n", heading.to_uppercase(), roff(text)).as_bytes(),
        );
    }
    cli.render_version_section(&mut page)?;
    Ok(page)
}

/// clap's own leaves out what an option takes.
fn synopsis() -> String {
    let definition = definition();
    let mut text = ".SH SYNOPSIS\n\\fBmemtrace\\fR".to_owned();
    for option in definition.get_opts().filter(|option| !option.is_hide_set()) {
        let short = option.get_short().map(|short| format!("\\fB\\-{short}\\fR|")).unwrap_or_default();
        let long = roff(option.get_long().unwrap_or_default());
        let values = option.get_value_names().unwrap_or_default().join(" ");
        let value =
            if option.get_action().takes_values() { format!(" \\fI{values}\\fR") } else { String::new() };
        text += &format!(" [{short}\\fB\\-\\-{long}\\fR{value}]");
    }
    let mut positions: Vec<_> = definition.get_positionals().collect();
    positions.sort_by_key(|position| position.get_index());
    for position in positions {
        text += &format!(" [\\fI{}\\fR]", position.get_value_names().unwrap_or_default().join(" "));
    }
    text + "\n.br\n\\fBmemtrace\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
}

/// Text that stands for itself. None of ours begins a line with a control character.
fn roff(text: &str) -> String {
    text.replace('\\', r"\e").replace('-', r"\-").replace('\'', r"\(aq")
}
