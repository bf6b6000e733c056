//! From what setup found to a session that runs.

use super::{
    compare::Comparison,
    options::Options,
    own_cost::Meter,
    sink::{EventSink, RecordingTarget, SinkConfig, recording::RecordingSink, stream::StreamSink},
    slabinfo::SlabinfoSeries,
    state::{Session, State},
    unseen::Unseen,
    verification::Verification,
};
use crate::{
    evidence::recording::{Header, file::WriteError},
    kernel::clock,
    procfs::Files,
    select::filter::Filter,
    stream::{event::TimeNs, ledger::Applier},
    view::build::Builder,
};

impl State {
    pub fn start(
        mut self,
        options: &Options,
        verification: Verification,
        mut sink: Option<SinkConfig>,
        meter: Meter,
        applier: Applier,
    ) -> Result<Session, WriteError> {
        let started = clock::now();
        let until = sink.as_mut().and_then(SinkConfig::take_until);
        let sink = sink.map(|config| self.open_sink(config, options, started)).transpose()?;
        let mut ledger = self.budget.ledger();
        ledger.set_detail(options.report_options.by.detail());
        let builder = Builder::new(options.report_options.clone());
        let builder = if options.has_directories { builder.with_directories() } else { builder };
        Ok(Session {
            sink,
            until,
            has_finding: None,
            defined_stacks: 0,
            ledger,
            applier,
            builder,
            shown: Filter::default(),
            verification,
            unseen: Unseen::default(),
            slabinfo: SlabinfoSeries::new(Files::live()),
            comparison: Comparison::default(),
            meter,
            started,
            left_out: 0,
            undecodable: 0,
            ended_pids: Vec::new(),
            stopped: None,
            census: None,
            census_is_recorded: false,
            latest_census: None,
            settled: None,
            state: self,
        })
    }

    fn open_sink(
        &mut self,
        config: SinkConfig,
        options: &Options,
        started: TimeNs,
    ) -> Result<Box<dyn EventSink>, WriteError> {
        self.tasks.processes.keep_changes();
        self.tasks.cgroups.keep_changes();
        let header = self.header(options, started);
        let symbols = self.symbols.clone();
        Ok(match config {
            SinkConfig::Recording(RecordingTarget { sink, max_bytes, command, progress, until: _ }) => {
                let header = Header { command, ..header };
                Box::new(RecordingSink::start(header, sink, symbols, progress, max_bytes)?)
            }
            SinkConfig::Stream(target) => Box::new(StreamSink::start(target, &header, symbols)),
        })
    }

    fn header(&self, options: &Options, started_ns: TimeNs) -> Header {
        Header {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            command: Vec::new(),
            host: self.host.name.clone(),
            kernel: self.host.kernel.clone(),
            boot_id: boot_id(),
            started: std::time::SystemTime::now(),
            started_ns,
            own_tgid: std::process::id(),
            ledger_bytes: self.budget.ledger_bytes(),
            period: options.sample,
            stacks_period: self.stacks.as_ref().map(|stacks| stacks.period),
            filters: self.filter.clone(),
            gfp_names: self.gfp_names.clone(),
            ring: None,
        }
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
