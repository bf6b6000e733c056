//! Who owns a cgroup, from its path: the systemd unit, the container and its runtime, the pod.
//!
//! Paths as systemd (systemd.slice(5)), Kubernetes' kubelet with either driver, and the runtimes make them.

/// Hexadecimal digits of a container's id.
const CONTAINER_DIGITS: usize = 64;
/// Digits that container tools show.
const CONTAINER_SHOWN: usize = 12;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The innermost systemd unit: a service, a scope, or else a slice.
    pub unit: Option<&'a str>,
    pub container: Option<Container<'a>>,
    /// Its uid, as Kubernetes writes it.
    pub pod: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// None where the path does not show it.
    pub runtime: Option<&'static str>,
    pub id: &'a str,
}

impl Container<'_> {
    /// As container tools show it.
    pub fn short_id(&self) -> &str {
        self.id.get(..CONTAINER_SHOWN).unwrap_or(self.id)
    }
}

impl<'a> Owner<'a> {
    pub fn from_path(path: &'a [u8]) -> Self {
        let Ok(path) = std::str::from_utf8(path) else { return Self::default() };
        let mut owner = Self::default();
        let mut above = "";
        for name in path.split('/').filter(|name| !name.is_empty()) {
            owner.unit = unit(name).or(owner.unit);
            owner.container = container(name, above).or(owner.container);
            owner.pod = pod(name).or(owner.pod);
            above = name;
        }
        owner
    }

    /// In a word or two: the container, or else the unit.
    pub fn name(&self) -> Option<String> {
        match (&self.container, self.unit) {
            (Some(container), _) => {
                let runtime = container.runtime.unwrap_or("container");
                Some(format!("{runtime} {}", container.short_id()))
            }
            (None, Some(unit)) => Some(unit.to_owned()),
            (None, None) => None,
        }
    }
}

fn unit(name: &str) -> Option<&str> {
    [".service", ".scope", ".slice", ".socket", ".mount"]
        .iter()
        .any(|kind| name.ends_with(kind))
        .then_some(name)
}

/// `docker-<id>.scope`, `cri-containerd-<id>.scope`; without systemd `<id>` below `docker`, or a pod.
fn container<'a>(name: &'a str, above: &str) -> Option<Container<'a>> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    // Podman's and CRI-O's monitors are no containers.
    if name.contains("-conmon-") {
        return None;
    }
    let (runtime, id) = match name.rsplit_once('-') {
        Some((runtime, id)) => (runtime, id),
        None => (above, name),
    };
    let is_id = id.len() == CONTAINER_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return lxc(name);
    }
    let runtime = match runtime {
        "docker" => Some("docker"),
        "libpod" | "libpod_parent" => Some("podman"),
        "crio" => Some("cri-o"),
        "cri-containerd" | "containerd" | "nerdctl" | "default" => Some("containerd"),
        _ => None,
    };
    Some(Container { runtime, id })
}

/// LXC's names are the user's own.
fn lxc(name: &str) -> Option<Container<'_>> {
    let id = name.strip_prefix("lxc.payload.")?;
    Some(Container { runtime: Some("lxc"), id })
}

/// `pod<uid>`, or systemd's `kubepods-burstable-pod<uid>.slice`, where dashes would mean levels and are underscores.
fn pod(name: &str) -> Option<String> {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = match name.rsplit_once("-pod") {
        Some((_, uid)) => uid,
        None => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    let is_uid = uid.len() == 36 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    // Static pods have a hash of their configuration.
    let is_hash = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_uid || is_hash).then_some(uid)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const ID: &str = "3f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d5abcd";
    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    #[test]
    fn units() {
        let unit = |path: &'static str| Owner::from_path(path.as_bytes()).name();
        assert_eq!(unit("/"), None);
        assert_eq!(unit("/system.slice/cron.service").as_deref(), Some("cron.service"));
        assert_eq!(unit("/user.slice/user-1000.slice/session-3.scope").as_deref(), Some("session-3.scope"));
        assert_eq!(unit("/system.slice").as_deref(), Some("system.slice"));
        assert_eq!(unit("/jobs/7183eb7d404c2d65c4cecc306a946715"), None);
    }

    #[test]
    fn containers() {
        for (path, runtime, name) in [
            ("/docker/ID", "Some(\"docker\")", "docker"),
            ("/system.slice/docker-ID.scope", "Some(\"docker\")", "docker"),
            ("/machine.slice/libpod-ID.scope", "Some(\"podman\")", "podman"),
            ("/machine.slice/libpod-ID.scope/container", "Some(\"podman\")", "podman"),
            ("/kubepods/burstable/podUID/ID", "None", "container"),
            ("/kubepods.slice/crio-ID.scope", "Some(\"cri-o\")", "cri-o"),
        ] {
            let path = path.replace("ID", ID);
            let owner = Owner::from_path(path.as_bytes());
            let container = owner.container.unwrap();
            assert_eq!((format!("{:?}", container.runtime).as_str(), container.id), (runtime, ID), "{path}");
            assert_eq!(owner.name().unwrap(), format!("{name} 3f2a9c1b04d5"));
        }
        assert_eq!(Owner::from_path(b"/lxc.payload.web").name().as_deref(), Some("lxc web"));
        let monitor = format!("/machine.slice/libpod-conmon-{ID}.scope");
        assert_eq!(Owner::from_path(monitor.as_bytes()).container, None);
    }

    #[test]
    fn pods() {
        let systemd = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{ID}.scope",
            UID.replace('-', "_")
        );
        for path in [format!("/kubepods/besteffort/pod{UID}/{ID}"), systemd] {
            assert_eq!(Owner::from_path(path.as_bytes()).pod.as_deref(), Some(UID), "{path}");
        }
        assert_eq!(Owner::from_path(b"/kubepods/burstable/podium").pod, None);
    }

    proptest! {
        #[test]
        fn any_path_is_survived(path in vec(prop_oneof![any::<u8>(), Just(b'/'), Just(b'-'), Just(b'.')], 0..200)) {
            let _ = Owner::from_path(&path).name();
        }
    }
}
