//! A file of options: each key is the long name of an option, its value what would stand behind it.
//!
//! Which keys there are and what each may be is asked of clap, so that an option is declared once.

use std::{
    any::TypeId,
    borrow::Cow,
    collections::BTreeMap,
    error::Error as _,
    ffi::OsString,
    io,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use clap::{
    Arg, ArgAction, Command,
    error::{ContextKind, ContextValue, ErrorKind},
};
use thiserror::Error;
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use crate::{procfs::slab::nearest::nearest, text::escape};

/// Options and their values, in the order of their names. An option that takes none has none.
pub type Values = BTreeMap<String, Vec<OsString>>;

/// They say where the configuration is.
const NOT_IN_FILES: [&str; 2] = ["config", "check-config"];

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct Fault {
    pub line: usize,
    /// In characters.
    pub column: usize,
    pub problem: String,
}

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}: {source}", escape::path(path))]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, {fault}; docs/serve.md has the format", escape::path(path))]
    Faulty { path: PathBuf, fault: Fault },
    /// Each option is right, and together they are not.
    #[error("{}: {problem}", escape::path(path))]
    Together { path: PathBuf, problem: String },
}

/// What a file says, for this command.
pub fn parse(bytes: &[u8], command: &Command) -> Result<Values, Fault> {
    let text = str::from_utf8(bytes)
        .map_err(|error| fault(bytes, error.valid_up_to(), "this is not UTF-8".to_owned()))?;
    let file = File { text, command };
    let table = DeTable::parse(text)
        .map_err(|error| file.fault(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    // What comes first is told first.
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut values = Values::new();
    for (key, value) in entries {
        let arg = file.option(key.get_ref()).ok_or_else(|| {
            file.fault(
                key.span().start,
                format!("{}{}", unknown(key.get_ref()), advice(&file.nearest(key.get_ref()))),
            )
        })?;
        if let Some(texts) = file.values(key.get_ref(), arg, value)? {
            values.insert(key.get_ref().to_string(), texts);
        }
    }
    Ok(values)
}

struct File<'a> {
    text: &'a str,
    command: &'a Command,
}

impl File<'_> {
    fn fault(&self, at: usize, problem: String) -> Fault {
        fault(self.text.as_bytes(), at, problem)
    }

    fn options(&self) -> impl Iterator<Item = (&str, &Arg)> {
        let options = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let options = options.filter_map(|arg| Some((arg.get_long()?, arg)));
        options.filter(|(name, _)| !NOT_IN_FILES.contains(name))
    }

    fn option(&self, key: &str) -> Option<&Arg> {
        self.options().find(|(name, _)| *name == key).map(|(_, arg)| arg)
    }

    fn nearest(&self, key: &str) -> Vec<String> {
        nearest(key, self.options().map(|(name, _)| (name, 0)))
    }

    /// None where it is as if the key were not there: `false`, or an empty list.
    fn values(&self, key: &str, arg: &Arg, value: &Spanned<DeValue>) -> Result<Option<Vec<OsString>>, Fault> {
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        match value.get_ref() {
            DeValue::Boolean(is_on) if !arg.get_action().takes_values() => Ok(is_on.then(Vec::new)),
            DeValue::Array(all) if is_list => {
                let values: Vec<_> =
                    all.iter().map(|one| self.value(key, arg, one)).collect::<Result<_, _>>()?;
                Ok((!values.is_empty()).then_some(values))
            }
            _ => Ok(Some(vec![self.value(key, arg, value)?])),
        }
    }

    fn value(&self, key: &str, arg: &Arg, value: &Spanned<DeValue>) -> Result<OsString, Fault> {
        let at = value.span().start;
        let text = text(value.get_ref()).filter(|_| arg.get_action().takes_values());
        let is_allowed = value.get_ref().is_str() || takes_numbers(arg);
        let text = text.filter(|_| is_allowed).ok_or_else(|| {
            let is = value.get_ref().type_str();
            self.fault(at, format!("'{}' takes {}, and this is of type {is}", key, taken(arg)))
        })?;
        match self.problem(key, &text) {
            Some(problem) => {
                Err(self.fault(at, format!("'{key}' cannot be '{}': {problem}", printable(&text))))
            }
            None => Ok(text.into()),
        }
    }

    /// Why an option cannot have this value, whatever the others are.
    fn problem(&self, key: &str, value: &str) -> Option<String> {
        let error = self.command.clone().try_get_matches_from([format!("--{key}={value}")]).err()?;
        match (error.kind(), error.get(ContextKind::ValidValue)) {
            (ErrorKind::InvalidValue, Some(ContextValue::Strings(valid))) if !valid.is_empty() => {
                let near = nearest(value, valid.iter().map(|name| (name.as_str(), 0)));
                let near = if near.is_empty() { valid.clone() } else { near };
                Some(format!("there is no such value{}", advice(&near)))
            }
            (ErrorKind::InvalidValue, _) => Some("it is empty".to_owned()),
            (ErrorKind::ValueValidation, _) => {
                Some(error.source().map_or_else(String::new, ToString::to_string))
            }
            // What needs other options is looked at when all are together.
            _ => None,
        }
    }
}

fn fault(bytes: &[u8], at: usize, problem: String) -> Fault {
    let before = &bytes[..at.min(bytes.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    Fault {
        line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        problem,
    }
}

fn unknown(key: &str) -> String {
    format!("there is no option '{}'", printable(key))
}

fn advice(names: &[String]) -> String {
    match names {
        [] => "; `memtrace serve --help` lists them".to_owned(),
        [one] => format!("; did you mean {one}?"),
        names => format!("; did you mean one of {}?", names.join(", ")),
    }
}

fn printable(text: &str) -> Cow<'_, str> {
    escape::terminal(text.as_bytes())
}

/// As on the command line; None of what never stands there.
fn text(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// One that is too large for anything stays as it is written.
fn integer(number: &DeInteger) -> Option<String> {
    let value = i64::from_str_radix(number.as_str(), number.radix());
    Some(value.map_or_else(|_| number.to_string(), |value| value.to_string()))
}

/// Those whose values are numbers, or a number with a unit.
fn takes_numbers(arg: &Arg) -> bool {
    let of = arg.get_value_parser().type_id();
    let numbers = [
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<f64>(),
        TypeId::of::<NonZeroUsize>(),
        TypeId::of::<NonZeroU64>(),
        TypeId::of::<Duration>(),
    ];
    numbers.into_iter().any(|number| of == number)
}

fn taken(arg: &Arg) -> &'static str {
    match (arg.get_action(), takes_numbers(arg)) {
        (ArgAction::Append, true) => "a number, or a list of them",
        (ArgAction::Append, false) => "a string, or a list of them",
        (action, _) if !action.takes_values() => "true or false",
        (_, true) => "a number or a string",
        (_, false) => "a string",
    }
}

#[cfg(test)]
mod tests;
