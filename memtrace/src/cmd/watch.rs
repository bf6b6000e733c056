//! `memtrace watch`: armed. Nothing is traced until a condition holds; then a bundle is made.

mod notify;

use std::{ffi::OsString, io, time::Duration};

use clap::{Args, Command, FromArgMatches as _};

use self::notify::Notifier;
use super::{
    bundle::BundleArgs,
    exit::{Exit, Failure},
    shared::{
        arming::{Armed, ArmingArgs, ArmingError},
        runtime::block_on,
    },
};
use crate::{
    armed::guard::{End, GuardError},
    session::{SetupError, Signals, check_privileges},
    text::duration,
};

#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    #[command(flatten)]
    pub arming: ArmingArgs,

    /// Time between two looks at the host
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Duration,

    /// Also take a census so often; the last one is kept with the bundles, as census.json
    #[arg(long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub census: Option<Duration>,

    /// Options of memtrace bundle for the recordings: --redact, -c, --stacks, --max-cpu, ...
    #[arg(last = true, value_name = "OPTIONS")]
    pub options: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Arming(#[from] ArmingError),
    #[error("after --, options of memtrace bundle: {0}")]
    Options(String),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
}

impl Failure for WatchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Arming(error) => error.exit(),
            Self::Options(_) => Exit::Usage,
            Self::Setup(_) | Self::Runtime(_) => Exit::Failed,
        }
    }
}

impl From<GuardError> for WatchError {
    fn from(error: GuardError) -> Self {
        ArmingError::from(error).into()
    }
}

pub fn run(args: WatchArgs) -> Result<(), WatchError> {
    // At once, and not in the night.
    check_options(&args.options)?;
    check_privileges()?;
    let guard = args.arming.arm(Armed {
        looks: args.interval,
        censuses: args.census,
        options: args.options,
        traces: false,
        audience: Box::new(Notifier::default()),
    })?;
    let watching = async {
        let signals = Signals::new().map_err(GuardError::Signals)?;
        Ok(guard.run(End::Signals(Box::new(signals))).await?)
    };
    block_on(watching).map_err(WatchError::Runtime)?
}

/// Options that `memtrace bundle` would refuse.
fn check_options(options: &[OsString]) -> Result<(), WatchError> {
    let command = BundleArgs::augment_args(Command::new("memtrace bundle"));
    let own = ["memtrace bundle", "--into", "/", "--duration", "1s", "--max-size", "1M"].map(OsString::from);
    let matches = command.try_get_matches_from(own.iter().chain(options));
    let parsed = matches.and_then(|matches| BundleArgs::from_arg_matches(&matches));
    parsed.map(drop).map_err(|error| WatchError::Options(error.to_string()))
}
