//! `cargo xtask`: everything that a developer does with this tree besides `cargo build`.

mod bench;
#[cfg(test)]
mod documents;
mod executables;
mod fuzz;
mod licences;
mod package;
mod run;
mod scenes;
mod soak;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{build_ebpf, command, host, paths, setup};

/// Sets up, builds, runs and tests memtrace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Setup(setup::Args),
    /// Build the eBPF object and say what is in it
    BuildEbpf,
    Run(run::Args),
    Test(test::Args),
    Vm(vm::Args),
    Scenes(scenes::Args),
    Fuzz(fuzz::Args),
    Soak(soak::Args),
    Bench(bench::Args),
    /// Write THIRD-PARTY.md, the licences of what memtrace contains
    Licences,
    Package(package::Args),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup(args) => setup::main(&args),
        Task::BuildEbpf => build_ebpf::main(),
        Task::Run(args) => run::main(&args),
        Task::Test(args) => test::main(&args),
        Task::Vm(args) => vm::main(&args),
        Task::Scenes(args) => scenes::main(&args),
        Task::Fuzz(args) => fuzz::main(&args),
        Task::Soak(args) => soak::main(&args),
        Task::Bench(args) => bench::main(&args),
        Task::Licences => licences::main(),
        Task::Package(args) => package::main(&args),
        Task::Tidy(args) => tidy::main(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
