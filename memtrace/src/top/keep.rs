//! Writes what is shown to a file, in the format that its name ends with.

use std::path::{Path, PathBuf};

use crate::{
    evidence::output_file::{FileError, Target, directory},
    output::{
        self,
        documents::report,
        render::{
            csv, markdown,
            terminal::{self, Frame, Style},
        },
        tables,
    },
    text::escape,
    view::Snapshot,
};

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("a file's name ends with .txt, .json, .ndjson, .csv or .md, which says its format; {} does not", escape::path(.0))]
    Format(PathBuf),
    #[error("{} is elsewhere: files are written below {}", escape::path(path), folders(written_in))]
    Elsewhere { path: PathBuf, written_in: Vec<PathBuf> },
    #[error(transparent)]
    File(#[from] FileError),
}

fn folders(all: &[PathBuf]) -> String {
    all.iter().map(|folder| escape::path(folder)).collect::<Vec<_>>().join(", ")
}

/// Refuses a file outside of these folders, if there are any; with its links resolved, as they are.
pub fn check(path: &Path, written_in: &[PathBuf]) -> Result<(), KeepError> {
    // One that does not exist is refused later.
    let Ok(folder) = directory(path).canonicalize() else { return Ok(()) };
    if written_in.is_empty() || written_in.iter().any(|allowed| folder.starts_with(allowed)) {
        return Ok(());
    }
    Err(KeepError::Elsewhere { path: path.to_owned(), written_in: written_in.to_vec() })
}

/// Refuses to write over what exists, and over what is read.
pub fn write(path: &Path, snapshot: &Snapshot, inputs: &[&Path]) -> Result<(), KeepError> {
    let text = match path.extension().and_then(|extension| extension.to_str()) {
        Some("txt") => Ok(terminal::text(&report::block(snapshot), Frame::PAGE, Style::Plain)),
        Some("json") => output::json::line(snapshot),
        Some("ndjson") => output::ndjson::report(snapshot),
        Some("csv") => csv::text(&tables::rows::table(snapshot)),
        Some("md") => Ok(markdown::text(&report::page(snapshot))),
        _ => return Err(KeepError::Format(path.to_owned())),
    };
    let destination = Target { path, replace: false, inputs, is_binary: false }.open()?;
    Ok(destination.write(path, |out| out.write_all(text?.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn a_files_name_says_its_format() {
        let directory = tempfile::tempdir().unwrap();
        let written = |name: &str| {
            let path = directory.path().join(name);
            write(&path, &sample::final_dentry(), &[]).map(|()| std::fs::read_to_string(path).unwrap())
        };
        assert!(written("a.txt").unwrap().starts_with("memtrace  FINAL"));
        assert!(written("a.json").unwrap().starts_with('{'));
        assert!(written("a.ndjson").unwrap().lines().count() > 3);
        assert!(written("a.csv").unwrap().starts_with("host,"));
        assert!(written("a.md").unwrap().starts_with('#'));
        for name in ["a.html", "a", "a.txt"] {
            assert!(written(name).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "precious").unwrap();
        let error = write(&path, &sample::dentry(), &[&path]).unwrap_err();
        assert!(error.to_string().contains("is being read"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
