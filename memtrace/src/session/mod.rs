//! A live session: attach, drain, report each interval, settle, detach, report once more.
//!
//! [`setup`] attaches and hands over a [`state`], which [`give_up`]s rights; [`run`] waits for what comes next. [`drain`] applies what is in the rings
//! to the ledger. [`tick`] makes a report: checkpoint, record, build. [`settle`] follows frees at the end.
//!
//! One task does all of it. Only writing is elsewhere ([`reporter`], [`sink`]): a slow terminal or a full pipe must not keep
//! the rings from being drained.

pub mod options;
pub mod error;
pub mod budget;
pub mod census;
mod censuses;
pub mod until;
pub mod sink;
pub mod requests;
mod host;
mod caches;
mod tasks;
mod slabinfo;
mod compare;
mod inspect;
mod own_cost;
pub mod marks;
mod sift;
mod signals;
mod wishes;
mod reporter;
mod state;
mod setup;
mod give_up;
mod start;
mod drain;
mod govern;
mod readings;
mod checkpoint;
mod record;
mod look_out;
mod tick;
mod settle;
mod verification;
mod verify;
mod unseen;
mod count_unseen;
mod unmatched;
mod run;

pub use self::{
    error::{SessionError, SetupError},
    options::{Options, Readers, StacksOption},
    run::{Hangup, record, run, run_asked, run_command, stream},
    setup::check_privileges,
    signals::Signals,
};
