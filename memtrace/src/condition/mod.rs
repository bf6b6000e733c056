//! Conditions that somebody waits for: `dentry > 10G`, `SUnreclaim +500M/1h`, `available lasts < 10m`, `finding`. docs/conditions.md
//! describes them.
//!
//! A [`Condition`] is what was written. A [`Watch`] is the same with its name [found](Host) on a host, and with what it has to
//! remember: it takes [readings](Reading) and says when the condition begins to hold. All of it is pure: who waits does the reading.

mod grammar;
mod parse;
mod host;
mod past;
mod falling;
mod watch;

pub use self::{
    grammar::Condition,
    host::{Host, UnknownName},
    parse::{Mistake, parse},
    watch::{Holding, Reading, Source, Watch},
};
