//! Plays all scenes with a known truth, and shows what memtrace says of each: on this host, and in VMs of other kernels.

use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::executables::{self, Build};
use crate::setup::Part;
use crate::{build_ebpf, host, paths, setup, vm};

/// Play programs that leak, flood or do neither, and compare what memtrace says of each with the truth
///
/// Takes twelve minutes a run. Nothing else should run meanwhile: what other processes do is judged too.
#[derive(clap::Args)]
pub struct Args {
    /// How often to play all of them, each time in other company
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Also a dozen of them in a VM of this kernel (repeatable): 5.10, 6.1, 6.12, 7.x
    #[arg(long)]
    kernel: Vec<vm::KernelChoice>,
    /// Not on this host
    #[arg(long, requires = "kernel", conflicts_with = "write")]
    no_host: bool,
    /// Write what came of it to docs/scenes.md
    #[arg(long)]
    write: bool,
    /// Only these
    names: Vec<String>,
}

/// What docs/scenes.md begins with.
const HEAD: &str = "# Scenes

Programs with a known truth, played beside a live session, several at a time, and what its findings said of each after 6, 12, 30 and 60 seconds; then what a
triage of 15 seconds said while they went on. `cargo xtask scenes --runs 3 --write` makes this page. The programs are in `memtrace/tests/scenes`; a dozen of them are judged with each run of the tests, on each kernel.

`leak`, `flood` and `nobody` are truths; a cell has the accusations, `-` is none. Where runs differed, they are all there. Triage accuses who fills what is
available within a week: of whom is slower, `-` is right.
";

pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(if args.kernel.is_empty() { Part::Host } else { Part::All })?;
    build_ebpf::build()?;
    let mut page = HEAD.to_owned();
    let mut is_right = true;
    if !args.no_host {
        let (here, was_right) = on_this_host(args)?;
        page += &format!("\n## {}\n\n{here}", host::kernel_release());
        is_right &= was_right;
    }
    for choice in &args.kernel {
        let kernel = vm::obtain_kernel(choice)?;
        let (there, was_right) = vm::scenes(&kernel)?;
        page += &format!("\n## {}, a dozen\n\n{there}", kernel.release);
        is_right &= was_right;
    }
    if args.write {
        std::fs::write(paths::root().join("docs/scenes.md"), &page).context("cannot write docs/scenes.md")?;
    }
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was printed, and whether all was right.
fn on_this_host(args: &Args) -> Result<(String, bool)> {
    let built = executables::build(
        &Build::Plain,
        &["test", "--no-run", "--package", "memtrace", "--test", "kernel"],
    )?;
    let tests = executables::find(&built, "test", "kernel")?;
    let mut program = host::as_root(tests.path.to_str().context("its path is text")?);
    program.args(["--scenes", "--runs", &args.runs.to_string()]).args(&args.names);
    let output = program.current_dir(&tests.package).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout).context("the scenes print text")?;
    print!("{text}");
    ensure!(text.contains("Precision"), "the scenes did not come to their end: {}", output.status);
    Ok((text, output.status.success()))
}
