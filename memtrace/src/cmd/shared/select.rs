//! Which allocations are wanted: of a session, or of a recording.

use clap::Args;

use super::number;
use crate::{
    attribution::user::User,
    select::{
        Select,
        cgroup::CgroupPattern,
        filter::{Filter, FilterError},
    },
    stream::comm_pattern::CommPattern,
};

/// What events tell.
#[derive(Args, Clone, Debug)]
pub struct SelectArgs {
    /// Only these slab caches: names as in `memtrace caches`, globs ('kmalloc-*') or all; may be repeated [default: all]
    ///
    /// A session on fewer costs less: on a host that opens and closes 100,000 files a second, all can cost a fifth of its speed or
    /// more. See --max-cpu.
    #[arg(short, long = "cache", value_name = "NAME|GLOB", value_delimiter = ',')]
    pub caches: Vec<String>,

    /// All but these slab caches: names or globs; may be repeated
    #[arg(long = "exclude-cache", value_name = "NAME", value_delimiter = ',')]
    pub excluded_caches: Vec<String>,

    /// Only allocations by this process; may be repeated
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = number::process_id, allow_hyphen_values = true)]
    pub pids: Vec<u32>,

    /// Only allocations by processes of this name or glob ('php*'); may be repeated
    ///
    /// Threads count for their process. In a session a glob costs as much as no filter: the probes send everything, and memtrace
    /// picks.
    #[arg(long = "comm", value_name = "COMM|GLOB", value_parser = CommPattern::parse)]
    pub comms: Vec<CommPattern>,

    /// All but allocations by processes of this name or glob; may be repeated
    #[arg(long = "exclude-comm", value_name = "COMM", value_parser = CommPattern::parse)]
    pub excluded_comms: Vec<CommPattern>,

    /// Only allocations in this cgroup and those in it: a path, or a glob ('*cron*'); may be repeated
    ///
    /// Paths are of the hierarchy that charges memory, from its root (/system.slice/cron.service) or from /sys/fs/cgroup. A glob
    /// without a slash is one of the cgroup's own name. Cgroups that are made later count, and those that are removed.
    /// Of --cgroup, --unit, --container and --pod, one that matches is enough.
    #[arg(long = "cgroup", value_name = "PATH|GLOB", value_parser = CgroupPattern::path)]
    pub cgroups: Vec<CgroupPattern>,

    /// Only allocations in this systemd unit (cron, user-1000.slice, 'php*'); may be repeated
    #[arg(long = "unit", value_name = "UNIT", value_parser = CgroupPattern::unit)]
    pub units: Vec<CgroupPattern>,

    /// Only allocations in this container: the beginning of its id, or a name or glob; may be repeated
    #[arg(long = "container", value_name = "ID|NAME", value_parser = CgroupPattern::container)]
    pub containers: Vec<CgroupPattern>,

    /// Only allocations in the Kubernetes pod with this uid; may be repeated
    #[arg(long = "pod", value_name = "UID", value_parser = CgroupPattern::pod)]
    pub pods: Vec<CgroupPattern>,
}

/// What only a running kernel tells.
#[derive(Args, Clone, Debug)]
pub struct LiveSelectArgs {
    /// With --pid, also what these processes start
    #[arg(long, requires = "pids")]
    pub children: bool,

    /// Only allocations by this process and by all that it starts, however short they live; may be repeated
    ///
    /// The same as --pid PID --children. Children that it has already are followed too, and theirs.
    #[arg(long = "tree", value_name = "PID", value_delimiter = ',', value_parser = number::process_id, allow_hyphen_values = true, conflicts_with = "pids")]
    pub trees: Vec<u32>,

    /// Only allocations by processes of this user, by name or number: the real one, as in `ps -o ruser`; may be repeated
    #[arg(long = "uid", value_name = "USER", value_delimiter = ',', value_parser = User::parse)]
    pub users: Vec<User>,
}

impl SelectArgs {
    pub fn select(&self) -> Select {
        let Self { cgroups, units, containers, pods, .. } = self;
        Select {
            caches: self.caches.clone(),
            excluded_caches: self.excluded_caches.clone(),
            pids: self.pids.clone(),
            comms: self.comms.clone(),
            excluded_comms: self.excluded_comms.clone(),
            cgroups: [cgroups, units, containers, pods].into_iter().flatten().cloned().collect(),
            ..Select::default()
        }
    }

    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::new(&self.select())
    }

    /// Of a session.
    pub fn select_live(&self, live: &LiveSelectArgs) -> Select {
        let select = self.select();
        let (pids, trees) = match live.children {
            true => (Vec::new(), self.pids.clone()),
            false => (select.pids, live.trees.clone()),
        };
        Select { pids, trees, users: live.users.clone(), ..select }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        select: SelectArgs,
        #[command(flatten)]
        live: LiveSelectArgs,
    }

    fn text(line: &str) -> String {
        let Line { select, live } = Line::parse_from(line.split(' '));
        select.select_live(&live).text()
    }

    #[test]
    fn options_are_one_choice() {
        insta::assert_snapshot!(text("x -c dentry,filp --exclude-cache kmalloc-* --uid 0 --comm a --comm b*"), @"--cache dentry --cache filp --exclude-cache kmalloc-* --uid 0 --comm a --comm b*");
        insta::assert_snapshot!(text("x --cgroup /a --unit cron --container 3f2a9c1b --pod a-b"), @"--cgroup /a --unit cron --container 3f2a9c1b --pod a-b");
        assert_eq!(text("x -p 7,8 --children"), text("x --tree 7 --tree 8"));
        assert_eq!(text("x -p 7"), "--pid 7");
    }
}
