//! Which cgroups are meant: by their paths, or by what systemd, container runtimes and Kubernetes call them. The cgroups in them are
//! meant too.

use glob::Pattern;

use crate::{attribution::cgroup::Owner, text::escape};

/// Characters that make a glob.
const SPECIAL: [char; 3] = ['*', '?', '['];

/// Where hierarchies are mounted: the unified one, and the memory controller's own. A path from there is one from its root.
const MOUNTS: [&str; 3] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Digits of a container's id that stand for it; fewer are a name.
const MIN_ID: usize = 4;

/// Kinds of units; a name without one is a service's, as for systemctl.
const UNITS: [&str; 5] = [".service", ".scope", ".slice", ".socket", ".mount"];

/// Begins a sentence that has a pattern in it.
pub const NO_CGROUP: &str = "no cgroup matches ";

/// Names of the container with an id.
pub type ContainerNames<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Nobody knows any, as in a recording.
pub const NO_NAMES: ContainerNames<'static> = &|_| Vec::new();

#[derive(Clone, Debug)]
pub struct CgroupPattern {
    /// As it was written.
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The whole path.
    Path(Name),
    /// The last name of the path.
    Name(Name),
    Unit(Name),
    Container(Name),
    Pod(String),
}

/// A text that stands for itself, or a glob.
#[derive(Clone, Debug)]
enum Name {
    Whole(String),
    Glob(Pattern),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CgroupPatternError {
    #[error("it cannot be empty")]
    Empty,
    #[error(
        "'{}' is neither a path (/system.slice/cron.service) nor a glob ('*cron*'); for a unit there is --unit",
        escape::terminal(.0.as_bytes())
    )]
    NoPath(String),
    #[error("'{}' is not a valid glob pattern: {reason}", escape::terminal(text.as_bytes()))]
    Glob { text: String, reason: &'static str },
}

impl CgroupPattern {
    /// Of a glob without a slash only the cgroup's own name has to match.
    pub fn path(text: &str) -> Result<Self, CgroupPatternError> {
        let name = Name::parse(text)?;
        let kind = match name {
            Name::Whole(_) if !text.starts_with('/') => {
                return Err(CgroupPatternError::NoPath(text.to_owned()));
            }
            Name::Whole(_) => Kind::Path(Name::Whole(below_mount(text).to_owned())),
            Name::Glob(_) if text.contains('/') => Kind::Path(Name::parse(below_mount(text))?),
            Name::Glob(_) => Kind::Name(name),
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// `cron`, `cron.service`, `user-*.slice`.
    pub fn unit(text: &str) -> Result<Self, CgroupPatternError> {
        let is_named = UNITS.iter().any(|kind| text.ends_with(kind)) || text.ends_with('*');
        let name = if is_named || text.is_empty() { text.to_owned() } else { format!("{text}{}", UNITS[0]) };
        Ok(Self { text: text.to_owned(), kind: Kind::Unit(Name::parse(&name)?) })
    }

    /// The beginning of its id, its name, or a glob of either.
    pub fn container(text: &str) -> Result<Self, CgroupPatternError> {
        Ok(Self { text: text.to_owned(), kind: Kind::Container(Name::parse(text)?) })
    }

    /// As Kubernetes or systemd write its uid.
    pub fn pod(text: &str) -> Result<Self, CgroupPatternError> {
        if text.is_empty() {
            return Err(CgroupPatternError::Empty);
        }
        let uid = text.strip_prefix("pod").unwrap_or(text).replace('_', "-").to_lowercase();
        Ok(Self { text: text.to_owned(), kind: Kind::Pod(uid) })
    }

    /// Says that no cgroup is meant. `of_container` is said where a container was asked for by its name.
    pub fn is_nowhere(&self, of_container: &str) -> String {
        let text = escape::terminal(self.text.as_bytes());
        let is_name = matches!(&self.kind, Kind::Container(_)) && !is_hex(&self.text);
        format!("{NO_CGROUP}{} {text}{}", self.option(), if is_name { of_container } else { "" })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn option(&self) -> &'static str {
        match self.kind {
            Kind::Path(_) | Kind::Name(_) => "--cgroup",
            Kind::Unit(_) => "--unit",
            Kind::Container(_) => "--container",
            Kind::Pod(_) => "--pod",
        }
    }

    /// Whether it means the cgroup with this path, or one that this is in. `names` are those of the container with an id.
    pub fn matches(&self, path: &[u8], names: ContainerNames<'_>) -> bool {
        let path = String::from_utf8_lossy(path);
        let path = path.strip_suffix('/').unwrap_or(&path);
        let ends = path.match_indices('/').map(|(end, _)| end).skip(1).chain([path.len()]);
        self.is("/", names) || ends.filter(|&end| end > 0).any(|end| self.is(&path[..end], names))
    }

    /// Whether it means this very cgroup.
    fn is(&self, path: &str, names: ContainerNames<'_>) -> bool {
        let own = path.rsplit('/').next().unwrap_or_default();
        match &self.kind {
            Kind::Path(name) => name.is(path),
            Kind::Name(name) | Kind::Unit(name) => name.is(own),
            Kind::Container(name) => Owner::from_path(path.as_bytes()).container.is_some_and(|container| {
                name.is(container.id)
                    || matches!(name, Name::Whole(id) if is_beginning(id, container.id))
                    || names(container.id).iter().any(|own| name.is(own))
            }),
            Kind::Pod(uid) => Owner::from_path(path.as_bytes()).pod.is_some_and(|pod| pod == *uid),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, CgroupPatternError> {
        if text.is_empty() {
            return Err(CgroupPatternError::Empty);
        }
        if !text.contains(SPECIAL) {
            return Ok(Self::Whole(text.to_owned()));
        }
        let error =
            |error: glob::PatternError| CgroupPatternError::Glob { text: text.to_owned(), reason: error.msg };
        Pattern::new(text).map(Self::Glob).map_err(error)
    }

    /// A name with a glob's characters matches itself.
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Whole(own) => own == name,
            Self::Glob(glob) => glob.matches(name) || glob.as_str() == name,
        }
    }
}

/// Of a path in the filesystem, the path in the hierarchy.
fn below_mount(path: &str) -> &str {
    let below = MOUNTS.iter().find_map(|mount| path.strip_prefix(mount).filter(|rest| rest.starts_with('/')));
    let path = below.unwrap_or(path);
    path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path)
}

fn is_beginning(id: &str, of: &str) -> bool {
    id.len() >= MIN_ID && is_hex(id) && is_hex(of) && of.starts_with(id)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d5abcd";
    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    fn check(pattern: Result<CgroupPattern, CgroupPatternError>, yes: &[&str], no: &[&str]) {
        let pattern = pattern.unwrap();
        for path in yes {
            assert!(pattern.matches(path.as_bytes(), NO_NAMES), "{pattern:?} {path}");
        }
        for path in no {
            assert!(!pattern.matches(path.as_bytes(), NO_NAMES), "{pattern:?} {path}");
        }
    }

    #[test]
    fn a_path_means_what_is_below_it_too() {
        for text in ["/a/b", "/a/b/", "/sys/fs/cgroup/a/b", "/sys/fs/cgroup/memory/a/b"] {
            check(
                CgroupPattern::path(text),
                &["/a/b", "/a/b/c", "/a/b/c/d"],
                &["/", "/a", "/a/bc", "/x/a/b"],
            );
        }
        check(CgroupPattern::path("/"), &["/", "/a", "/a/b"], &[]);
    }

    #[test]
    fn a_glob_is_of_a_path_or_of_a_name() {
        check(
            CgroupPattern::path("/kubepods*/pod?"),
            &["/kubepods/pod1", "/kubepods.slice/burstable/pod2/x"],
            &["/kubepods/pod10", "/x/kubepods/pod1"],
        );
        check(CgroupPattern::path("job-[12]"), &["/job-1", "/a/job-2/b"], &["/job-3", "/xjob-1", "/"]);
        check(CgroupPattern::path("*cron*"), &["/system.slice/cron.service"], &["/system.slice"]);
        // As it is written.
        check(CgroupPattern::path("/a[b]"), &["/a[b]", "/ab"], &["/a"]);
    }

    #[test]
    fn units_are_named_as_for_systemctl() {
        for text in ["cron", "cron.service"] {
            check(
                CgroupPattern::unit(text),
                &["/system.slice/cron.service", "/system.slice/cron.service/x"],
                &["/system.slice", "/system.slice/anacron.service", "/cron"],
            );
        }
        check(
            CgroupPattern::unit("user-1000.slice"),
            &["/user.slice/user-1000.slice/session-3.scope"],
            &["/user.slice"],
        );
        check(CgroupPattern::unit("php*"), &["/system.slice/php-fpm.service"], &["/system.slice/x.service"]);
    }

    #[test]
    fn containers_have_ids_and_names() {
        let docker = format!("/system.slice/docker-{ID}.scope");
        let pod = format!("/kubepods/burstable/pod{UID}/{ID}");
        for text in [ID, &ID[..12], &ID[..4], "3f2a*"] {
            check(
                CgroupPattern::container(text),
                &[&docker, &format!("{docker}/init"), &pod],
                &["/lxc.payload.web"],
            );
        }
        check(CgroupPattern::container("web"), &["/lxc.payload.web/a"], &["/lxc.payload.web2", &docker]);
        check(CgroupPattern::container("web*"), &["/lxc.payload.web2"], &[&docker]);
        for text in ["4f2a", "3f2"] {
            check(CgroupPattern::container(text), &[], &[&docker]);
        }
    }

    #[test]
    fn runtimes_know_names_of_containers() {
        let path = format!("/docker/{ID}/init");
        let names: ContainerNames<'_> = &|id| if id == ID { vec!["web".to_owned()] } else { Vec::new() };
        for (text, expected) in [("web", true), ("w*", true), ("we", false), ("db", false)] {
            let pattern = CgroupPattern::container(text).unwrap();
            assert_eq!(pattern.matches(path.as_bytes(), names), expected, "{text}");
        }
    }

    #[test]
    fn pods_have_uids() {
        let systemd = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{ID}.scope",
            UID.replace('-', "_")
        );
        let cgroupfs = format!("/kubepods/burstable/pod{UID}/{ID}");
        for text in [UID.to_owned(), UID.replace('-', "_"), UID.to_uppercase(), format!("pod{UID}")] {
            check(CgroupPattern::pod(&text), &[&systemd, &cgroupfs], &["/kubepods/burstable", "/"]);
        }
    }

    #[test]
    fn what_cannot_be_one_is_refused() {
        let errors = [
            CgroupPattern::path(""),
            CgroupPattern::path("cron.service"),
            CgroupPattern::path("/a[\u{1b}"),
            CgroupPattern::unit(""),
            CgroupPattern::container(""),
            CgroupPattern::pod(""),
        ];
        let errors = errors.map(|pattern| pattern.unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        it cannot be empty
        'cron.service' is neither a path (/system.slice/cron.service) nor a glob ('*cron*'); for a unit there is --unit
        '/a[\x1b' is not a valid glob pattern: invalid range pattern
        it cannot be empty
        it cannot be empty
        it cannot be empty
        ");
    }

    proptest! {
        #[test]
        fn any_text(pattern in ".{0,20}", path in prop::collection::vec(any::<u8>(), 0..60)) {
            let parse = [CgroupPattern::path, CgroupPattern::unit, CgroupPattern::container, CgroupPattern::pod];
            for pattern in parse.into_iter().filter_map(|parse| parse(&pattern).ok()) {
                pattern.matches(&path, NO_NAMES);
            }
        }

        /// With its children, whatever it means.
        #[test]
        fn children_are_meant_too(pattern in "[/a-c*?]{1,6}", path in "(/[a-c]{1,3}){1,4}", child in "[a-c]{1,3}") {
            let Ok(pattern) = CgroupPattern::path(&pattern) else { return Ok(()) };
            let below = format!("{path}/{child}");
            prop_assert!(!pattern.matches(path.as_bytes(), NO_NAMES) || pattern.matches(below.as_bytes(), NO_NAMES));
        }
    }
}
