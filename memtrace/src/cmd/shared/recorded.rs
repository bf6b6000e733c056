//! The options of a session on a terminal, for a recording that begins in its midst.

use std::{ffi::OsString, iter};

use clap::{Arg, ArgMatches, Args, Command, parser::ValueSource};

use super::{rows::RowArgs, trace::TraceArgs};

/// When it ends is said by a key.
const OF_ITS_END: [&str; 2] = ["duration", "count"];

/// Those of `words`, the command's name first, that `memtrace record` takes too. The words are the command line of a command with
/// these arguments.
pub fn options_of<A: Args>(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    // It was parsed before; what is wrong with it was said then.
    let command = A::augment_args(Command::new("memtrace")).ignore_errors(true);
    let Ok(said) = command.try_get_matches_from(words) else { return Vec::new() };
    let of_sessions = RowArgs::augment_args(TraceArgs::augment_args(Command::new("record")));
    let taken =
        of_sessions.get_arguments().filter(|argument| !OF_ITS_END.contains(&argument.get_id().as_str()));
    taken.flat_map(|argument| words_of(argument, &said)).collect()
}

/// As they were said, in the long form.
fn words_of(argument: &Arg, said: &ArgMatches) -> Vec<OsString> {
    let (id, Some(name)) = (argument.get_id().as_str(), argument.get_long()) else { return Vec::new() };
    if said.value_source(id) != Some(ValueSource::CommandLine) {
        return Vec::new();
    }
    if !argument.get_action().takes_values() {
        return vec![format!("--{name}").into()];
    }
    let word = |value: &std::ffi::OsStr| {
        let mut word = OsString::from(format!("--{name}="));
        word.push(value);
        word
    };
    let values = said.get_raw(id).into_iter().flatten();
    iter::empty().chain(values.map(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::{live::LiveArgs, top::TopArgs};

    fn options<A: Args>(line: &str) -> String {
        let words = line.split_whitespace().map(OsString::from);
        let options = options_of::<A>(words).into_iter();
        options.map(|word| word.into_string().expect("the test's")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_recording_takes_what_a_session_took_but_not_how_it_was_shown() {
        assert_eq!(options::<LiveArgs>("memtrace"), "");
        assert_eq!(
            options::<LiveArgs>(
                "memtrace -c dentry,filp -c x* --pid 7 --children -d 5s --mouse --view ages --by pid 2 9"
            ),
            "--cache=dentry --cache=filp --cache=x* --pid=7 --children --by=pid"
        );
        assert_eq!(
            options::<TopArgs>("top --comm curl --stacks both --max-cpu=5 --width 80 -n 3 --fail-on-finding"),
            "--comm=curl --stacks=both --max-cpu=5"
        );
    }
}
