//! Python, with what reads Parquet and checks manifests: DuckDB, ClickHouse's engine, pyarrow, kubernetes-validate.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables");

/// The environment that `cargo xtask setup` makes, made here where it is not there; else why not.
static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
    let directory = target.join("python");
    let mut prepare = Command::new("python3");
    let prepared = prepare.arg(Path::new(SCRIPTS).join("prepare.py")).arg(&directory).output();
    match prepared {
        Ok(output) if output.status.success() => Ok(directory.join("bin/python")),
        Ok(output) => Err(errors(&output)),
        Err(error) => Err(format!("python3: {error}")),
    }
});

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// What a program of Python's prints. None, loudly, where it cannot be run: with `MEMTRACE_NO_SKIP=1` a failure.
pub fn python(directory: &Path, arguments: &[&str]) -> Option<String> {
    let python = match &*PYTHON {
        Ok(python) => python,
        Err(error) if std::env::var_os("MEMTRACE_NO_SKIP").is_none_or(|value| value != "1") => {
            eprintln!("SKIPPED: Python lacks packages: {error}; `cargo xtask setup` installs them");
            return None;
        }
        Err(error) => panic!("Python lacks packages: {error}; `cargo xtask setup` installs them"),
    };
    let mut command = Command::new(python);
    command.current_dir(directory).args(arguments);
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}
