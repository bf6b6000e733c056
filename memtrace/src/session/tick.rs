//! A report: checkpoint -> record -> build.

use super::{
    error::SessionError,
    record::BlockEnd,
    reporter::Reporter,
    requests::View,
    state::{Session, State},
};
use crate::{
    kernel::{attach::Attached, events::Events},
    stream::calls::{CallSites, StackNames},
    view::{Checkpoint, Snapshot, lookups::Lookups},
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
        self.refresh_caches(events)?;
        if !is_final {
            self.compare_if_due(events)?;
        }
        let checkpoint = self.checkpoint(events, is_final)?;
        let forgot_ended = self.state.tasks.prune(&self.ledger);
        self.close_block(&checkpoint, BlockEnd { is_report: true, forgot_ended });
        Ok(self.build(&checkpoint))
    }

    fn build(&mut self, checkpoint: &Checkpoint) -> Snapshot {
        let own_tgid = std::process::id();
        let passed = self.shown.caches(self.state.caches.infos());
        let passes = |cache| passed.get(&cache).copied().unwrap_or(!self.shown.is_on());
        let State { host, caches, tasks, symbols, stacks, gfp_names, incidents, .. } = &self.state;
        let lookups = Lookups {
            host: &host.name,
            kernel: &host.kernel,
            caches: caches.infos(),
            processes: &tasks.processes,
            cgroups: &tasks.cgroups,
            call_sites: symbols.as_deref().map(|symbols| symbols as &dyn CallSites),
            stacks: stacks.as_ref().map(|stacks| stacks as &dyn StackNames),
            gfp_names: gfp_names.as_ref(),
            incidents,
            is_shown: &|origin| origin.task.tgid != own_tgid && passes(origin.cache),
        };
        let mut snapshot = self.builder.snapshot(&self.ledger, checkpoint, lookups);
        if self.shown.is_on() {
            let is_shown = |name: &str| {
                caches.infos().values().any(|info| info.name == name && self.shown.passes_cache(info))
            };
            snapshot.caches.retain(|cache| is_shown(&cache.name));
        }
        snapshot
    }

    /// Looks at the session in another way from now on. Objects that were allocated before may not tell what rows are by now.
    pub fn look(&mut self, view: View) {
        let View { report_options, filter } = view;
        self.state.find_names(&report_options.by);
        self.ledger.set_detail(report_options.by.detail());
        self.builder.set_options(report_options);
        self.shown = filter;
    }
}
