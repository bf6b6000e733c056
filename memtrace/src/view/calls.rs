//! Call stacks of several rows as one tree: calls that have their beginning in common share a branch.

use std::collections::BTreeMap;

use super::snapshot::StackShare;

/// A branch: calls that all stacks in it have in common, and that the branch above has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Branches above it.
    pub depth: usize,
    /// As they follow each other from the root on.
    pub calls: Vec<String>,
    pub objects: u64,
    /// It parts further.
    pub has_branches: bool,
    /// All calls from the root on.
    pub path: Vec<String>,
}

#[derive(Default)]
struct Node<'a> {
    objects: u64,
    next: BTreeMap<&'a str, Node<'a>>,
}

/// The branches, each before those in it, those of most objects first. Stacks have the innermost call first; `from_outermost`
/// begins at the other end.
pub fn tree<'a>(
    stacks: impl IntoIterator<Item = &'a StackShare>,
    from_outermost: bool,
) -> (u64, Vec<Branch>) {
    let mut root = Node::default();
    for stack in stacks {
        root.objects += stack.objects;
        let mut frames: Vec<&String> = stack.frames.iter().collect();
        if from_outermost {
            frames.reverse();
        }
        let mut node = &mut root;
        for frame in frames {
            node = node.next.entry(frame).or_default();
            node.objects += stack.objects;
        }
    }
    let mut branches = Vec::new();
    root.grow(0, &[], &mut branches);
    (root.objects, branches)
}

impl Node<'_> {
    fn grow(&self, depth: usize, path: &[String], branches: &mut Vec<Branch>) {
        let mut next: Vec<(&str, &Node<'_>)> = self.next.iter().map(|(call, node)| (*call, node)).collect();
        next.sort_by_key(|(_, node)| std::cmp::Reverse(node.objects));
        for (call, mut node) in next {
            let mut calls = vec![call.to_owned()];
            // As long as it does not part, and nothing ends in it.
            while let Some((call, only)) =
                node.next.iter().next().filter(|(_, only)| only.objects == node.objects)
            {
                calls.push((*call).to_owned());
                node = only;
            }
            let path = [path, &calls[..]].concat();
            let has_branches = !node.next.is_empty();
            branches.push(Branch { depth, calls, objects: node.objects, has_branches, path: path.clone() });
            node.grow(depth + 1, &path, branches);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stacks: &[(&str, u64)], from_outermost: bool, expect: &[&str]) {
        let stacks: Vec<StackShare> = stacks
            .iter()
            .map(|(frames, objects)| StackShare {
                frames: frames.split(' ').map(str::to_owned).collect(),
                objects: *objects,
            })
            .collect();
        let (all, branches) = tree(&stacks, from_outermost);
        assert_eq!(all, stacks.iter().map(|stack| stack.objects).sum::<u64>());
        let show = |branch: &Branch| {
            format!("{}{} {}", "  ".repeat(branch.depth), branch.calls.join(" < "), branch.objects)
        };
        assert_eq!(branches.iter().map(show).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn what_is_in_common_is_a_branch() {
        check(&[], false, &[]);
        check(&[("alloc open main", 5)], false, &["alloc < open < main 5"]);
        check(
            &[("alloc open main", 5), ("alloc open worker", 7), ("alloc", 1), ("clone main", 2)],
            false,
            &["alloc 13", "  open 12", "    worker 7", "    main 5", "clone < main 2"],
        );
        check(
            &[("alloc open main", 5), ("clone main", 2)],
            true,
            &["main 7", "  open < alloc 5", "  clone 2"],
        );
    }
}
