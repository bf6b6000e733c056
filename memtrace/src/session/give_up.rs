//! What a session gives up when its probes are attached, before it has threads.

use super::{
    options::{Options, StacksOption},
    own_cost::Meter,
    state::State,
};
use crate::{
    kernel::events::Events,
    rights::needs::Needs,
    view::{By, Keys},
};

/// What it goes on to do; None where it keeps all rights.
fn needs(options: &Options, by: &Keys, has_sink: bool, has_census: bool) -> Option<Needs> {
    let command = options.needs?;
    let has_user_stacks = matches!(options.stacks, Some(StacksOption::User | StacksOption::Both));
    Some(Needs {
        looks_at_slabs: command.looks_at_slabs || has_census || options.census_every.is_some(),
        names_programs: has_sink || by.contains(By::Pid) || has_user_stacks,
        names_user_stacks: has_user_stacks,
        measures_probes: options.max_cpu.is_some(),
        sends_signals: options.select.command.is_some(),
        ..command
    })
}

impl State {
    /// A note says where the kernel does not take it.
    pub fn give_up_rights(
        &mut self,
        options: &Options,
        has_sink: bool,
        has_census: bool,
        (meter, events): (&mut Meter, &Events),
    ) {
        let needs = needs(options, &options.report_options.by, has_sink, has_census);
        let Some(needs) = needs else { return };
        if !needs.measures_probes {
            meter.calibrate(events);
        }
        let memory = &self.kernel.memory;
        if let Err(why) = needs.give_up_others(|| memory.current_task().is_ok()) {
            self.notes.push(format!("memtrace keeps rights that it does not need: {why}"));
        }
    }
}
