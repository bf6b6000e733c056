//! What a session gives up when its probes are attached, before it has threads that need any.

use super::{
    options::{Options, StacksOption},
    own_cost::Meter,
    state::State,
};
use crate::{kernel::events::Events, rights::needs::Needs};

/// What it goes on to do; None where it keeps all rights.
fn needs(options: &Options, has_census: bool) -> Option<Needs> {
    let command = options.needs?;
    Some(Needs {
        looks_at_slabs: command.looks_at_slabs || has_census || options.census_every.is_some(),
        names_user_stacks: matches!(options.stacks, Some(StacksOption::User | StacksOption::Both)),
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
        has_census: bool,
        meter: &mut Meter,
        events: &Events,
    ) {
        let Some(needs) = needs(options, has_census) else { return };
        if !needs.measures_probes {
            meter.calibrate(events);
        }
        let memory = &self.kernel.memory;
        if let Err(why) = needs.give_up_others(|| memory.current_task().is_ok()) {
            self.notes.push(format!("memtrace keeps rights that it does not need: {why}"));
        }
    }
}
