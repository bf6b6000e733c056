//! A report: checkpoint -> record -> build.

use std::collections::HashMap;

use super::{
    error::SessionError,
    options::Options,
    record::BlockEnd,
    reporter::Reporter,
    requests::{OwnProfile, View},
    state::{Session, State},
};
use crate::{
    kernel::{attach::Attached, events::Events},
    select::{filter::Filter, without_caches},
    stream::{
        calls::{CallSites, StackNames},
        event::Address,
        ledger::OriginKey,
    },
    view::{Checkpoint, Snapshot, build::ReportOptions, lookups::Lookups, profile::Profile},
};

impl Session {
    pub fn report(&mut self, attached: &mut Attached, reporter: &Reporter) -> Result<(), SessionError> {
        self.drain(&mut attached.events)?;
        self.note_ended_pids();
        self.inspect(&mut attached.events)?;
        self.verify(&mut attached.events)?;
        let snapshot = self.tick(&mut attached.events, false)?;
        self.has_finding = Some(snapshot.verdict.as_ref().is_some_and(|verdict| verdict.first().is_some()));
        reporter.show(snapshot);
        Ok(())
    }

    /// Takes a checkpoint, ends a block of the recording with it, and makes a report of it.
    pub fn tick(&mut self, events: &mut Events, is_final: bool) -> Result<Snapshot, SessionError> {
        self.ledger.finish_sweep();
        self.refresh_caches(events)?;
        if !is_final {
            self.compare_if_due(events)?;
        }
        let checkpoint = self.checkpoint(events, is_final)?;
        let forgot_ended = self.state.tasks.prune(&self.ledger);
        self.close_block(&checkpoint, BlockEnd { is_report: true, forgot_ended });
        Ok(self.build(&checkpoint))
    }

    /// Which calls led to what is outstanding now. The rates of reports go on from the last report.
    pub fn profile(&mut self, events: &mut Events) -> Result<OwnProfile, SessionError> {
        self.drain(events)?;
        self.ledger.finish_sweep();
        self.refresh_caches(events)?;
        let checkpoint = self.checkpoint(events, false)?;
        let is_shown = is_shown(&self.shown, &self.state);
        let lookups = self.state.lookups(&is_shown);
        let snapshot = self.builder.clone().snapshot(&self.ledger, &checkpoint, lookups);
        Ok(OwnProfile { profile: Profile::new(&self.ledger, &checkpoint, lookups, None), snapshot })
    }

    fn build(&mut self, checkpoint: &Checkpoint) -> Snapshot {
        let is_shown = is_shown(&self.shown, &self.state);
        let lookups = self.state.lookups(&is_shown);
        let mut snapshot = self.builder.snapshot(&self.ledger, checkpoint, lookups);
        snapshot.latest_census = self.latest_census.clone();
        if self.shown.is_on() {
            let is_shown = |name: &str| {
                lookups.caches.values().any(|info| info.name == name && self.shown.passes_cache(info.names()))
            };
            snapshot.caches.retain(|cache| is_shown(&cache.name));
        }
        snapshot
    }

    /// Looks at the session in another way from now on. Objects that were allocated before may not tell what rows are by now.
    pub fn look(&mut self, view: View) {
        let View { report_options, filter } = view;
        self.set_report_options(report_options);
        self.shown = filter;
    }

    /// Goes on by these options, as far as they can change.
    pub fn change(&mut self, options: Options) {
        self.set_report_options(options.report_options);
        self.state.incidents = options.incidents;
        self.state.budget.set_cpu_limit(options.max_cpu);
        self.latest_census = self.latest_census.take().filter(|_| options.census_every.is_some());
    }

    fn set_report_options(&mut self, options: ReportOptions) {
        self.state.find_names(&options.by);
        self.ledger.set_detail(options.by.detail());
        self.builder.set_options(options);
    }
}

/// Of what is traced, what reports show: without our own.
fn is_shown(shown: &Filter, state: &State) -> impl Fn(&OriginKey) -> bool + use<> {
    let own_tgid = std::process::id();
    let infos = state.caches.infos().iter();
    let passed: HashMap<Address, bool> =
        infos.map(|(&number, info)| (number, shown.passes_cache(info.names()))).collect();
    let others_pass = !shown.is_on();
    move |origin| origin.task.tgid != own_tgid && passed.get(&origin.cache).copied().unwrap_or(others_pass)
}

impl State {
    fn lookups<'a>(&'a self, is_shown: &'a dyn Fn(&OriginKey) -> bool) -> Lookups<'a> {
        Lookups {
            host: &self.host.name,
            kernel: &self.host.kernel,
            filter: without_caches(&self.filter),
            caches: self.caches.infos(),
            processes: &self.tasks.processes,
            cgroups: &self.tasks.cgroups,
            call_sites: self.symbols.as_deref().map(|symbols| symbols as &dyn CallSites),
            stacks: self.stacks.as_ref().map(|stacks| stacks as &dyn StackNames),
            gfp_names: self.gfp_names.as_ref(),
            incidents: &self.incidents,
            is_shown,
        }
    }
}
