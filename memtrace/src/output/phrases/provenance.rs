//! Where, when and how a profile was taken: what its formats say of it.

use std::time::{SystemTime, UNIX_EPOCH};

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
    let until = time::rfc3339_seconds(end(snapshot));
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
        let until = time::rfc3339_seconds(end(snapshot));
        format!(
            "{}, {} until {until}",
            escape::terminal(snapshot.host.as_bytes()),
            human::duration(snapshot.elapsed)
        )
    };
    format!("before: {} · after: {} · {}", side(before), side(after), stacks(after.profile.stacks_period))
}

/// When tracing began. Never before 1970.
pub fn start(snapshot: &Snapshot) -> SystemTime {
    before(end(snapshot), snapshot.elapsed)
}

/// When allocations ceased to be traced.
pub fn end(snapshot: &Snapshot) -> SystemTime {
    before(snapshot.time, snapshot.settled.map(|settled| settled.time).unwrap_or_default())
}

fn before(time: SystemTime, earlier: std::time::Duration) -> SystemTime {
    time.checked_sub(earlier).filter(|&time| time > UNIX_EPOCH).unwrap_or(UNIX_EPOCH)
}

fn stacks(period: Option<u32>) -> String {
    match period {
        None => "without stacks".to_owned(),
        Some(1) => "stacks of all allocations".to_owned(),
        Some(period) => format!("stacks of 1 allocation in {period}, scaled to all"),
    }
}
