//! Folders import downwards only, and files do not import each other in circles.
//!
//! A file and the folder of its name are one unit (`table.rs` and `table/`): what is in the folder may name what the file defines.

use std::collections::BTreeMap;

use super::modules::{Crate, Edge};

/// Circles of files that are meant, by one of their files, each with its reason.
const MEANT_CIRCLES: [(&str, &str); 0] = [];

/// Where a folder imports from one that stands below it in `lib.rs`, as `path:line (which imports which)`.
pub fn upward_imports(tree: &Crate) -> Vec<String> {
    let upward = |edge: &Edge| {
        let (from, to) = (tree.room(edge.from)?, tree.room(edge.to)?);
        let line = format!("{}:{}", tree.modules[edge.from].file, edge.line);
        (to > from).then(|| format!("{line} ({} imports {})", tree.rooms[from], tree.rooms[to]))
    };
    tree.edges().iter().filter_map(upward).collect()
}

/// Files that import each other, each circle as `path:line path:line ...`.
pub fn circles(tree: &Crate) -> Vec<String> {
    let is_part = |edge: &Edge| tree.modules[edge.from].path.starts_with(&tree.modules[edge.to].path);
    let mut edges = tree.edges();
    edges.retain(|edge| !is_part(edge));
    let shown = |circle: Vec<usize>| {
        let inside = edges.iter().filter(|edge| circle.contains(&edge.from) && circle.contains(&edge.to));
        let places = inside.map(|Edge { from, to, line }| {
            let name = |module: usize| tree.modules[module].path.join("::");
            format!("{}:{line} (-> {})", tree.modules[*from].file, name(*to))
        });
        places.collect::<Vec<_>>().join("\n    ")
    };
    let meant = |circle: &Vec<usize>| {
        MEANT_CIRCLES
            .iter()
            .any(|(file, _)| circle.iter().any(|&module| tree.modules[module].file.ends_with(file)))
    };
    strongly_connected(tree.modules.len(), &edges)
        .into_iter()
        .filter(|circle| circle.len() > 1 && !meant(circle))
        .map(shown)
        .collect()
}

pub fn number_meant() -> usize {
    MEANT_CIRCLES.len()
}

/// Tarjan's algorithm, for a graph whose depth is no danger to the stack.
fn strongly_connected(nodes: usize, edges: &[Edge]) -> Vec<Vec<usize>> {
    let mut targets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for edge in edges {
        targets.entry(edge.from).or_default().push(edge.to);
    }
    let mut search = Search { targets, index: vec![None; nodes], low: vec![0; nodes], ..Search::default() };
    for node in 0..nodes {
        if search.index[node].is_none() {
            search.visit(node);
        }
    }
    search.components
}

#[derive(Default)]
struct Search {
    targets: BTreeMap<usize, Vec<usize>>,
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    stack: Vec<usize>,
    next: usize,
    components: Vec<Vec<usize>>,
}

impl Search {
    fn visit(&mut self, node: usize) {
        let index = self.next;
        self.next += 1;
        (self.index[node], self.low[node]) = (Some(index), index);
        self.stack.push(node);
        for target in self.targets.get(&node).cloned().unwrap_or_default() {
            match self.index[target] {
                None => {
                    self.visit(target);
                    self.low[node] = self.low[node].min(self.low[target]);
                }
                Some(index) if self.stack.contains(&target) => self.low[node] = self.low[node].min(index),
                Some(_) => {}
            }
        }
        if self.low[node] == index {
            let start = self.stack.iter().rposition(|&other| other == node).unwrap_or(0);
            self.components.push(self.stack.split_off(start));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::paths;

    /// A crate of these files, in a directory of its own.
    fn tree(name: &str, files: &[(&str, &str)]) -> (PathBuf, Crate) {
        let root = paths::target("tmp").join(format!("tidy-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = Crate::read(&root, &root.join("lib.rs"));
        fs::remove_dir_all(&root).unwrap();
        (root, tree.unwrap())
    }

    const ROOMS: (&str, &str) = ("lib.rs", "pub mod low;\npub mod high;\n");

    #[test]
    fn an_import_from_below_is_told_with_its_line() {
        let high = ("high/mod.rs", "pub mod part;\n");
        let part = ("high/part.rs", "pub struct Part;\n");
        let check = |name: &str, low: &str, expect: &[&str]| {
            let (_, tree) = tree(name, &[ROOMS, high, part, ("low.rs", low)]);
            assert_eq!(upward_imports(&tree), expect, "{low}");
        };
        check("use", "\nuse crate::high::part::Part;\n", &["low.rs:2 (low imports high)"]);
        check("path", "fn f() {\n    crate::high::part::g();\n}\n", &["low.rs:2 (low imports high)"]);
        check(
            "macro",
            "fn f() {\n    print!(\"{}\", crate::high::part::g());\n}\n",
            &["low.rs:2 (low imports high)"],
        );
        check(
            "nested",
            "use crate::{\n    high::{\n        part::Part,\n    },\n};\n",
            &["low.rs:3 (low imports high)"],
        );
        check("test", "#[cfg(test)]\nmod tests {\n    use crate::high::part::Part;\n}\n", &[]);
        check("comment", "//! crate::high::part\n", &[]);
    }

    #[test]
    fn downward_imports_are_fine() {
        let (_, tree) =
            tree("down", &[ROOMS, ("low.rs", "pub fn f() {}\n"), ("high.rs", "use crate::low::f;\n")]);
        assert_eq!(upward_imports(&tree), [""; 0]);
        assert_eq!(tree.edges().len(), 1);
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let a = ("low/a.rs", "use super::b::B;\npub struct A;\n");
        let b = ("low/b.rs", "use super::A;\npub struct B;\n");
        let parent = ("low/mod.rs", "mod a;\nmod b;\npub use a::A;\n");
        let (_, tree) = tree("circle", &[("lib.rs", "pub mod low;\n"), parent, a, b]);
        let found = circles(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("low/a.rs:1 (-> low::b)"), "{found:?}");
        assert!(found[0].contains("low/b.rs:1 (-> low::a)"), "behind the re-export: {found:?}");
    }

    #[test]
    fn a_parent_that_only_hands_on_is_in_no_circle() {
        let parent = ("low/mod.rs", "mod a;\npub use a::A;\n");
        let a = ("low/a.rs", "pub struct A;\n");
        let high = ("high.rs", "use crate::low::A;\n");
        let (_, tree) = tree("alias", &[ROOMS, parent, a, high]);
        assert_eq!(circles(&tree), [""; 0]);
        let edges: Vec<_> = tree.edges().iter().map(|edge| tree.modules[edge.to].file.clone()).collect();
        assert_eq!(edges, ["low/a.rs"]);
    }

    #[test]
    fn a_part_may_name_what_the_whole_defines() {
        let parent = ("low/mod.rs", "mod a;\npub struct Whole(a::A);\n");
        let a = ("low/a.rs", "use super::Whole;\npub struct A;\n");
        let (_, tree) = tree("part", &[("lib.rs", "pub mod low;\n"), parent, a]);
        assert_eq!((circles(&tree), tree.edges().len()), (Vec::new(), 2));
    }

    #[test]
    fn the_crate_itself_is_read() {
        let root = paths::root();
        let tree = Crate::read(root, &root.join("memtrace/src/lib.rs")).unwrap();
        assert!(tree.modules.len() > 100 && tree.rooms.len() >= 12);
        assert!(tree.edges().len() > 500);
    }
}
