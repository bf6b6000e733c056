//! What users call a container: its id stands in the cgroup's path, its names in the files of its runtime.

use std::{fs, path::Path};

use serde_json::Value;

/// Docker's own, of a container.
const DOCKER: &str = "var/lib/docker/containers";
/// Podman's and CRI-O's, of all containers.
const STORAGE: &str = "var/lib/containers/storage/overlay-containers/containers.json";
/// containerd's, of a container in one of its namespaces.
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";

/// Annotations with a name: Kubernetes' through containerd, and nerdctl's.
const ANNOTATIONS: [&str; 2] = ["io.kubernetes.cri.container-name", "nerdctl/name"];

/// The names of the container with this id; none where no runtime's files have it.
pub fn container_names(id: &str) -> Vec<String> {
    names_below(Path::new("/"), id)
}

fn names_below(root: &Path, id: &str) -> Vec<String> {
    let docker = read(&root.join(DOCKER).join(id).join("config.v2.json"));
    let docker = docker.and_then(|config| Some(text(&config["Name"])?.trim_start_matches('/').to_owned()));
    let storage = read(&root.join(STORAGE)).map(|list| of_storage(&list, id)).unwrap_or_default();
    let namespaces = fs::read_dir(root.join(CONTAINERD)).into_iter().flatten().flatten();
    let configs = namespaces.filter_map(|namespace| read(&namespace.path().join(id).join("config.json")));
    let annotated = configs.flat_map(|config| {
        ANNOTATIONS.into_iter().filter_map(|name| text(&config["annotations"][name])).collect::<Vec<_>>()
    });
    docker.into_iter().chain(storage).chain(annotated).collect()
}

fn of_storage(list: &Value, id: &str) -> Vec<String> {
    let containers = list.as_array().into_iter().flatten();
    let names = containers.filter(|container| container["id"] == id).map(|container| &container["names"]);
    names.filter_map(Value::as_array).flatten().filter_map(text).collect()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d5abcd";

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path.replace("ID", ID));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace("ID", ID)).unwrap();
        }
        names_below(root.path(), ID)
    }

    #[test]
    fn each_runtime_has_its_files() {
        let docker = ("var/lib/docker/containers/ID/config.v2.json", r#"{"ID":"ID","Name":"/web"}"#);
        let storage = (STORAGE, r#"[{"id":"x","names":["other"]},{"id":"ID","names":["db","k8s_db_pod"]}]"#);
        let kubernetes = (
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
            r#"{"annotations":{"io.kubernetes.cri.container-name":"api"}}"#,
        );
        let nerdctl = (
            "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json",
            r#"{"annotations":{"nerdctl/name":"shell"}}"#,
        );
        assert_eq!(names(&[docker]), ["web"]);
        assert_eq!(names(&[storage]), ["db", "k8s_db_pod"]);
        assert_eq!(names(&[kubernetes]), ["api"]);
        assert_eq!(names(&[nerdctl]), ["shell"]);
        assert_eq!(names(&[docker, kubernetes]), ["web", "api"]);
    }

    #[test]
    fn what_is_not_as_expected_has_no_name() {
        assert_eq!(names(&[]), [""; 0]);
        for content in ["", "{", "[]", "7", r#"{"Name":7}"#, r#"{"Name":""}"#, r#"{"annotations":[]}"#] {
            let files = ["var/lib/docker/containers/ID/config.v2.json", STORAGE];
            assert_eq!(names(&files.map(|path| (path, content))), [""; 0], "{content}");
        }
    }
}
