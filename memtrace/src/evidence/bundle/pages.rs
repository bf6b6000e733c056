//! The pages that are made of a recording, each for its reader.

use std::{io, time::Duration};

use super::{Member, RECORDING};
use crate::{
    evidence::replay::Report,
    output::{
        self,
        documents::report,
        html::Recorded,
        render::{
            markdown,
            terminal::{self, Frame, Style},
        },
    },
    view::profile::Weight,
};

/// Every format of `memtrace report` that a ticket has a use for. A page in a further format is one more line here.
pub fn of_report(of: &Report, older: Option<Duration>) -> io::Result<Vec<Member>> {
    let snapshot = &of.snapshot;
    let profile = of.profile(older);
    let table = terminal::text(&report::block(snapshot), Frame::PAGE, Style::Plain);
    let (mut flames, mut pprof) = (Vec::new(), Vec::new());
    output::flamegraph::write(&profile, snapshot, Weight::default(), &mut flames)?;
    output::pprof::write(&profile, snapshot, &mut pprof)?;
    let recorded = Recorded { file: RECORDING.as_bytes(), series: &of.series, profile: &profile };
    let page = output::html::report(snapshot, recorded)?;
    let markdown = markdown::text(&report::page(snapshot));
    let json = output::json::line(snapshot)?;
    Ok(vec![
        Member::new("report.txt", "who holds the slab: verdict, rows, trust", table),
        Member::new(
            "report.html",
            "the same with charts; opens in any browser, without network access",
            page,
        ),
        Member::new("report.md", "the same, to paste into the ticket", markdown),
        Member::new("report.json", "the same, exact, for programs (docs/json.md)", json),
        Member::new("flame.svg", "call stacks of outstanding memory; opens in any browser", flames),
        Member::new("profile.pb.gz", "the same for go tool pprof -http :8080 profile.pb.gz", pprof),
    ])
}
