//! A command that a session is of: it runs from the session's beginning to its end.

use std::{env, ffi::OsString, io};

use clap::Args;

use crate::{
    attribution::user::User,
    cmd::exit::{Exit, Failure, command_failure},
    kernel::stopped::{self, Ending, Identity, Program, Stopped},
    session::Options,
    text::{escape, shell},
};

#[derive(Args, Clone, Debug)]
pub struct CommandArgs {
    /// Run the command as this user, by name or number [default: whoever called sudo]
    #[arg(long, value_name = "USER", value_parser = User::parse, requires = "command")]
    pub user: Option<User>,

    /// A command to run, with its arguments: only what it and all that it starts allocate is traced, from its first allocation until
    /// it ends
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot run {}: {source}", escape::terminal(program.as_bytes()))]
pub struct CommandError {
    program: String,
    source: io::Error,
}

impl Failure for CommandError {
    fn exit(&self) -> Exit {
        command_failure(&self.source)
    }
}

impl CommandArgs {
    /// Makes the process of the command, and a session's options those of its tree. Nothing where there is no command.
    pub fn start(&self, options: &mut Options) -> Result<Option<(Stopped, Ending)>, CommandError> {
        if self.command.is_empty() {
            return Ok(None);
        }
        let words = || self.command.iter().map(|word| word.to_string_lossy());
        let identity = self.user.clone().or_else(caller).map(identity);
        let program = Program { words: self.command.clone(), identity };
        let (stopped, ending) = stopped::start(program).map_err(|source| CommandError {
            program: words().next().unwrap_or_default().into_owned(),
            source,
        })?;
        options.select.trees = vec![stopped.pid];
        options.select.command = Some(shell::line(words()));
        Ok(Some((stopped, ending)))
    }
}

/// Who called sudo, if anybody did and we have their rights to give away.
fn caller() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut user = User::parse(env::var("SUDO_UID").ok()?.as_str()).ok()?;
    let gid = env::var("SUDO_GID").ok().and_then(|gid| gid.parse().ok());
    user.gid = user.gid.or(gid);
    Some(user).filter(|user| user.uid != 0)
}

fn identity(user: User) -> Identity {
    let names = ["USER", "LOGNAME"].into_iter().filter_map(|name| Some((name, user.name.clone()?)));
    let home = user.home.clone().map(|home| ("HOME", home));
    Identity {
        uid: user.uid,
        gid: user.gid.unwrap_or(user.uid),
        groups: user.groups(),
        variables: names.chain(home).collect(),
    }
}
