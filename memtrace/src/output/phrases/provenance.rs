//! Where, when and how a profile was taken: what its formats say of it.

use crate::{
    text::{escape, human, time},
    view::{
        Snapshot,
        profile::{Profile, Profiled},
    },
};

/// In a few words each, harmless for a terminal.
pub fn words(profile: &Profile, snapshot: &Snapshot) -> Vec<String> {
    let host = escape::terminal(snapshot.host.as_bytes());
    let kernel = escape::terminal(snapshot.kernel.as_bytes());
    let until = time::rfc3339_seconds(snapshot.end());
    let mut words = vec![
        format!("{host}, kernel {kernel}"),
        format!("{} until {until}", human::duration(snapshot.elapsed)),
        stacks(profile.stacks_period),
    ];
    words.extend(snapshot.older.map(|age| format!("outstanding for {} at least", human::duration(age))));
    if snapshot.sampling.is_on() {
        words.push(format!("estimates from 1 object in {}", snapshot.sampling.period));
    }
    words
}

/// Of a difference, in one line.
pub fn of_difference(before: Profiled<'_>, after: Profiled<'_>) -> String {
    let side = |Profiled { snapshot, .. }: Profiled<'_>| {
        let until = time::rfc3339_seconds(snapshot.end());
        format!(
            "{}, {} until {until}",
            escape::terminal(snapshot.host.as_bytes()),
            human::duration(snapshot.elapsed)
        )
    };
    format!("before: {} · after: {} · {}", side(before), side(after), stacks(after.profile.stacks_period))
}

fn stacks(period: Option<u32>) -> String {
    match period {
        None => "without stacks".to_owned(),
        Some(1) => "stacks of all allocations".to_owned(),
        Some(period) => format!("stacks of 1 allocation in {period}, scaled to all"),
    }
}
