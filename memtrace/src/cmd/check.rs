//! `memtrace check`: what this host offers, and which way memtrace takes for each need.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use rustix::thread::CapabilitySet;
use serde::Serialize;

use super::exit::{Exit, Failure};
use crate::{
    kernel::{
        support::{HostSupport, Item},
        trials::Avoid,
    },
    output::{
        model::{Block, Cell, Column, Kind, Sentence, Table},
        render::terminal::{self, Frame, Style},
    },
    rights::capability,
    text::width,
};

#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Output format: text, or one JSON object
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,

    /// Do without a kernel feature, as on kernels that lack it
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', hide = true)]
    pub avoid: Vec<Avoid>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("memtrace cannot trace on this host: {0}")]
    Obstacle(String),
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

impl Failure for CheckError {
    fn exit(&self) -> Exit {
        match self {
            Self::Obstacle(_) => Exit::Failed,
            Self::Write(error) => error.exit(),
        }
    }
}

pub fn run(args: &CheckArgs, out: &mut impl Write) -> Result<(), CheckError> {
    print(args, capability::held(), out)
}

/// For a process that had these rights, whatever it has given up since.
pub fn print(args: &CheckArgs, held: CapabilitySet, out: &mut impl Write) -> Result<(), CheckError> {
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy();
    let support = HostSupport::probe(held, &args.avoid);
    match args.output {
        Output::Text => out.write_all(text(&kernel, &support).as_bytes())?,
        Output::Json => writeln!(out, "{}", json(&kernel, &support).map_err(io::Error::from)?)?,
    }
    out.flush()?;
    support.obstacle.map_or(Ok(()), |why| Err(CheckError::Obstacle(why)))
}

fn text(kernel: &str, support: &HostSupport) -> String {
    let sections = [
        ("This process may", &support.rights),
        ("This host offers", &support.host),
        ("Tracepoints", &support.tracepoints),
        ("memtrace uses", &support.strategies),
    ];
    let names = sections.iter().flat_map(|(_, items)| items.iter()).map(|item| width::cells(item.name));
    let names = names.max().unwrap_or(0);
    let mut blocks = vec![Block::sentence(Sentence::from("Linux ").name(kernel.as_bytes()))];
    for (title, items) in sections.into_iter().filter(|(_, items)| !items.is_empty()) {
        blocks.push(Block::heading(title));
        blocks.push(Block::table(table(items, names)));
    }
    terminal::text(&blocks, Frame::default(), Style::Plain)
}

/// `names` is how wide the names of all sections are.
fn table(items: &[Item], names: usize) -> Table {
    let columns = [
        Column::<Item>::new("item", "", Kind::Figure, |item| {
            Cell::words(format!("  {}", width::pad_right(item.name, names)))
        }),
        Column::<Item>::new("ok", "", Kind::word(3), |item| Cell::YesNo(item.state.is_ok())),
        Column::<Item>::new("detail", "", Kind::text(1, usize::MAX), |item| match &item.state {
            Ok(text) | Err(text) => Cell::name(text.as_bytes()),
        }),
    ];
    Table::new("support", &columns, items).headless()
}

#[derive(Serialize)]
struct JsonOffer<'a> {
    r#type: &'static str,
    version: u32,
    kernel: &'a str,
    /// Whether a session can run.
    ok: bool,
    rights: Vec<JsonItem<'a>>,
    host: Vec<JsonItem<'a>>,
    tracepoints: Vec<JsonItem<'a>>,
    ways: Vec<JsonItem<'a>>,
}

#[derive(Serialize)]
struct JsonItem<'a> {
    name: &'a str,
    ok: bool,
    detail: &'a str,
}

fn json(kernel: &str, support: &HostSupport) -> serde_json::Result<String> {
    serde_json::to_string(&JsonOffer {
        r#type: "check",
        version: 1,
        kernel,
        ok: support.obstacle.is_none(),
        rights: json_items(&support.rights),
        host: json_items(&support.host),
        tracepoints: json_items(&support.tracepoints),
        ways: json_items(&support.strategies),
    })
}

fn json_items(items: &[Item]) -> Vec<JsonItem<'_>> {
    items.iter().map(json_item).collect()
}

fn json_item(Item { name, state }: &Item) -> JsonItem<'_> {
    match state {
        Ok(detail) => JsonItem { name, ok: true, detail },
        Err(why) => JsonItem { name, ok: false, detail: why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::support::rights;

    fn with(held: CapabilitySet) -> HostSupport {
        let item = Item { name: "BTF", state: Ok("/sys/kernel/btf/vmlinux".to_owned()) };
        HostSupport { rights: rights(held), host: vec![item], ..HostSupport::default() }
    }

    #[test]
    fn each_right_is_said_with_what_it_is_for_and_what_is_lost_without() {
        let two = CapabilitySet::BPF | CapabilitySet::PERFMON;
        insta::assert_snapshot!("check_two_capabilities", text("6.18.44", &with(two)));
        insta::assert_snapshot!("check_root", text("6.18.44", &with(CapabilitySet::all())));
    }

    #[test]
    fn programs_are_told_the_same() {
        let json: serde_json::Value =
            serde_json::from_str(&json("6.18.44", &with(CapabilitySet::BPF)).expect("it is JSON"))
                .expect("it is JSON");
        let of = |name: &str| {
            let rights = json["rights"].as_array().expect("it is a list");
            let right = rights.iter().find(|right| right["name"] == name).expect("it is one");
            (right["ok"].as_bool(), right["detail"].as_str().map(str::to_owned))
        };
        assert_eq!(of("CAP_BPF"), (Some(true), Some("load programs, run them on request".to_owned())));
        let lost = "read names of kernel functions; without it, call sites and kernel stacks are addresses";
        assert_eq!(of("CAP_SYSLOG"), (Some(false), Some(lost.to_owned())));
    }
}
