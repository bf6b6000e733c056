//! Time and memory of single stages, from a synthetic source: `cargo bench -p memtrace -- [--json] [--quick] [FILTER]`.
//!
//! Not divan: it takes the clock's time of functions that are repeated, and prints tables. Here CPU time of the thread counts, a
//! ledger grows to 50 million objects once, its memory and its longest pause are figures too, and `cargo xtask bench` reads all.

mod decode;
mod figures;
mod ledger;
mod measure;
mod reader;
mod readers;
mod recording;
mod rings;
mod source;

use clap::Parser as _;

use self::figures::Args;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

fn main() {
    let args = Args::parse();
    decode::run(&args);
    ledger::run(&args);
    readers::run(&args);
    recording::run(&args);
    rings::run(&args);
}
