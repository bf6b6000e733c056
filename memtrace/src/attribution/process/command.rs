//! What processes run.

use std::{collections::HashSet, sync::Arc};

use crate::stream::event::Program;

/// Most different ones that are kept. Beyond, a process has none.
const MAX_COMMANDS: usize = 1 << 14;

/// A program and its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Command {
    /// Path of the program, as passed to exec or as in /proc; empty where it is unknown.
    pub path: Box<[u8]>,
    /// Each argument with a NUL behind it; the last may be cut.
    pub arguments: Box<[u8]>,
}

impl Command {
    pub fn new(program: Program<'_>) -> Self {
        Self { path: program.path.into(), arguments: program.arguments.into() }
    }

    /// As it was typed, with blanks between the arguments.
    pub fn line(&self) -> Vec<u8> {
        let arguments = self.arguments.strip_suffix(b"\0").unwrap_or(&self.arguments);
        arguments.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect()
    }
}

/// Each command once: a leak is often the same one, started again and again.
#[derive(Clone, Default)]
pub struct Commands(HashSet<Arc<Command>>);

impl Commands {
    /// None where there is no room for another one.
    pub fn share(&mut self, command: Command) -> Option<Arc<Command>> {
        if let Some(known) = self.0.get(&command) {
            return Some(Arc::clone(known));
        }
        if self.0.len() >= MAX_COMMANDS {
            // Some belong to processes that were pruned.
            self.0.retain(|command| Arc::strong_count(command) > 1);
        }
        if self.0.len() >= MAX_COMMANDS {
            return None;
        }
        let command = Arc::new(command);
        self.0.insert(Arc::clone(&command));
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_has_blanks() {
        let line = |arguments: &'static [u8]| {
            let command = Command::new(Program { path: b"/bin/ls", arguments });
            String::from_utf8(command.line()).unwrap()
        };
        assert_eq!(line(b"ls\0-l\0"), "ls -l");
        assert_eq!(line(b"ls\0-l\0/some/directory/with/a/na"), "ls -l /some/directory/with/a/na");
        assert_eq!(line(b""), "");
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut commands = Commands::default();
        let command = |number: usize| Command {
            arguments: number.to_string().into_bytes().into(),
            ..Command::default()
        };
        let held: Vec<_> = (0..MAX_COMMANDS).map(|number| commands.share(command(number))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(Arc::ptr_eq(&commands.share(command(7)).unwrap(), held[7].as_ref().unwrap()));
        assert_eq!(commands.share(command(MAX_COMMANDS)), None);
        drop(held);
        assert!(commands.share(command(MAX_COMMANDS)).is_some());
        assert_eq!(commands.0.len(), 1, "unused commands are dropped");
    }
}
