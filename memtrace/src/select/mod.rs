//! Which allocations are wanted: one choice, for sessions and for what recordings have.
//!
//! Several options narrow each other; of several values of one option one is enough. A session lets the probes leave out what they
//! can ([`crate::kernel::options::Filters`]) and leaves out the rest itself; a report of a recording has a [`filter::Filter`].

pub mod cgroup;
pub mod filter;

use self::cgroup::CgroupPattern;
use crate::{attribution::user::User, stream::comm_pattern::CommPattern};

/// Stands for all caches.
pub const ALL: &str = "all";

/// Where a list is empty, it leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Names and globs of slab caches.
    pub caches: Vec<String>,
    pub excluded_caches: Vec<String>,
    pub pids: Vec<u32>,
    /// Processes, with all that they start. A recording does not tell who started whom.
    pub trees: Vec<u32>,
    /// A recording does not tell them.
    pub users: Vec<User>,
    pub comms: Vec<CommPattern>,
    pub excluded_comms: Vec<CommPattern>,
    pub cgroups: Vec<CgroupPattern>,
    /// A command that memtrace starts, as it is written.
    pub command: Option<String>,
}

impl Select {
    /// All that these caches have.
    pub fn of_caches(caches: Vec<String>) -> Self {
        Self { caches, ..Self::default() }
    }

    /// Patterns of caches; `all` where there are none.
    pub fn cache_patterns(&self) -> Vec<String> {
        if self.caches.is_empty() { vec![ALL.to_owned()] } else { self.caches.clone() }
    }

    /// Nobody's allocations are left out.
    pub fn is_of_all_tasks(&self) -> bool {
        self.task_options().is_empty()
    }

    /// The options that leave out somebody's allocations.
    pub fn task_options(&self) -> Vec<&'static str> {
        let mut options: Vec<&'static str> = self.task_filters().map(|(option, _)| option).collect();
        options.dedup();
        options
    }

    /// As on the command line; empty where nothing is left out. Caches come first: see [`without_caches`].
    pub fn text(&self) -> String {
        let is_all = self.caches.iter().any(|cache| cache == ALL);
        let caches = self.caches.iter().filter(|_| !is_all).map(|cache| ("--cache", cache.clone()));
        let excluded = self.excluded_caches.iter().map(|cache| ("--exclude-cache", cache.clone()));
        let filters = caches.chain(excluded).chain(self.task_filters());
        filters.map(|(option, value)| format!("{option} {value}")).collect::<Vec<_>>().join(" ")
    }

    fn task_filters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let pids = self.pids.iter().map(|pid| ("--pid", pid.to_string()));
        // The number of the command's process says nothing to anybody.
        let trees = self.trees.iter().filter(|_| self.command.is_none());
        let trees = trees.map(|pid| ("--tree", pid.to_string()));
        let command = self.command.iter().map(|command| ("--", command.clone()));
        let users = self.users.iter().map(|user| ("--uid", user.text().to_owned()));
        let comm = |option| move |comm: &CommPattern| (option, comm.text().to_owned());
        let comms = self.comms.iter().map(comm("--comm"));
        let excluded = self.excluded_comms.iter().map(comm("--exclude-comm"));
        let cgroups = self.cgroups.iter().map(|cgroup| (cgroup.option(), cgroup.text().to_owned()));
        pids.chain(trees).chain(users).chain(comms).chain(excluded).chain(cgroups).chain(command)
    }
}

/// What a choice leaves out besides other caches, of its text: which caches are shown is said anyway.
pub fn without_caches(text: &str) -> &str {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix("--cache ") {
        rest = after.find(" --").map_or("", |end| &after[end + 1..]);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comms(names: &[&str]) -> Vec<CommPattern> {
        names.iter().map(|name| CommPattern::parse(name).unwrap()).collect()
    }

    #[test]
    fn a_choice_reads_as_it_was_written() {
        let select = Select {
            caches: vec!["dentry".to_owned(), "kmalloc-*".to_owned()],
            excluded_caches: vec!["kmalloc-64".to_owned()],
            pids: vec![7],
            trees: vec![8, 9],
            comms: comms(&["php*"]),
            excluded_comms: comms(&["php-fpm"]),
            cgroups: vec![CgroupPattern::unit("cron").unwrap()],
            ..Select::default()
        };
        insta::assert_snapshot!(select.text(), @"--cache dentry --cache kmalloc-* --exclude-cache kmalloc-64 --pid 7 --tree 8 --tree 9 --comm php* --exclude-comm php-fpm --unit cron");
        insta::assert_snapshot!(without_caches(&select.text()), @"--exclude-cache kmalloc-64 --pid 7 --tree 8 --tree 9 --comm php* --exclude-comm php-fpm --unit cron");
        assert_eq!(select.task_options(), ["--pid", "--tree", "--comm", "--exclude-comm", "--unit"]);
        assert!(!select.is_of_all_tasks());
    }

    #[test]
    fn what_is_all_leaves_nothing_out() {
        for caches in [&[][..], &[ALL], &["dentry", ALL]] {
            let select = Select::of_caches(caches.iter().map(|&name| name.to_owned()).collect());
            assert_eq!(select.text(), "", "{caches:?}");
            assert!(select.is_of_all_tasks());
        }
        assert_eq!(without_caches(""), "");
        assert_eq!(without_caches("--cache dentry --cache filp"), "");
        assert_eq!(without_caches("--cache dentry -- sleep 1"), "-- sleep 1");
    }
}
