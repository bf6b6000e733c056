//! Which options hold: those of the command line, and from the file those that it does not say.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

use super::{
    ServeArgs,
    config::{self, ConfigError, Values},
};
use crate::{cmd::shared::arming::ArmingArgs, serve::file};

/// How `memtrace serve` was started.
#[derive(Clone, Debug)]
pub struct CommandLine {
    args: ServeArgs,
    /// What stands on it.
    given: Values,
}

/// The options that hold.
#[derive(Clone, Debug)]
pub struct Settings {
    pub args: ServeArgs,
    /// The same, without what nobody said.
    pub values: Values,
}

/// What a new reading of the file says differently, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// These hold from now on.
    pub made: Vec<String>,
    /// For these it would have to start again.
    pub put_off: Vec<String>,
}

/// What can change while it runs.
const CHANGEABLE: [&str; 6] = ["census-every", "incidents", "interval", "labels", MAX_CPU, "series"];
pub const MAX_CPU: &str = "max-cpu";

impl CommandLine {
    /// None where all is on it.
    pub fn config(&self) -> Option<&PathBuf> {
        self.args.config.as_ref()
    }

    /// Only find out whether it could start.
    pub fn only_checks(&self) -> bool {
        self.args.check_config
    }

    /// Reads the file, if there is one.
    pub fn settle(&self) -> Result<Settings, ConfigError> {
        let Self { args, given } = self;
        let Some(path) = &args.config else {
            return Ok(Settings { args: args.clone(), values: given.clone() });
        };
        let bytes = file::read(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let of_file = config::parse(&bytes, &definition())
            .map_err(|fault| ConfigError::Faulty { path: path.clone(), fault })?;
        let mut values = of_file;
        values.extend(given.clone());
        let args = args_of(&values)
            .map_err(|error| ConfigError::Together { path: path.clone(), problem: sentence(&error) })?;
        Ok(Settings { args, values })
    }
}

impl Settings {
    /// A limit is kept by measuring, and a session that has none gave up the right to measure.
    fn can_change(&self, name: &str) -> bool {
        CHANGEABLE.contains(&name) && (name != MAX_CPU || self.values.contains_key(MAX_CPU))
    }

    /// Takes over from a new reading what can change.
    pub fn change_to(&mut self, new: &Self) -> Changes {
        let names = self.values.keys().chain(new.values.keys()).cloned().collect::<BTreeSet<_>>();
        let different = names.into_iter().filter(|name| self.values.get(name) != new.values.get(name));
        let (made, put_off): (Vec<_>, Vec<_>) = different.partition(|name| self.can_change(name));
        for name in &made {
            match new.values.get(name) {
                Some(values) => self.values.insert(name.clone(), values.clone()),
                None => self.values.remove(name),
            };
        }
        Changes { made, put_off }
    }
}

/// All options of `memtrace serve`.
pub fn definition() -> Command {
    CommandLine::augment_args(Command::new("serve").no_binary_name(true))
}

/// As if they stood on the command line.
fn args_of(values: &Values) -> Result<ServeArgs, clap::Error> {
    let arguments = values.iter().flat_map(|(name, values)| {
        let option = |value: &OsString| {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value);
            option
        };
        let is_alone = values.is_empty().then(|| format!("--{name}").into());
        is_alone.into_iter().chain(values.iter().map(option)).collect::<Vec<_>>()
    });
    ServeArgs::from_arg_matches(&definition().try_get_matches_from(arguments)?)
}

/// clap's own sentence, without what it says of usage.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let sentence = lines.collect::<Vec<_>>().join(" ");
    sentence.strip_prefix("error: ").unwrap_or(&sentence).to_owned()
}

impl FromArgMatches for CommandLine {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let definition = definition();
        let given = definition.get_arguments().filter_map(|arg| {
            let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
            let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
            let values = matches.get_raw(id).filter(|_| arg.get_action().takes_values());
            is_given.then(|| (name.to_owned(), values.into_iter().flatten().map(ToOwned::to_owned).collect()))
        });
        Ok(Self { args: ServeArgs::from_arg_matches(matches)?, given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for CommandLine {
    fn augment_args(command: Command) -> Command {
        let command = ServeArgs::augment_args(command);
        let armed = ArmingArgs::augment_args(Command::new("armed"));
        let armed = armed.get_arguments().fold(command, |command, arg| {
            command.mut_arg(arg.get_id(), |arg| arg.requires("arm").help_heading("With --arm"))
        });
        armed.mut_arg("interval", |interval| interval.default_value("10s"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests;
