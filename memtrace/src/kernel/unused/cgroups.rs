//! Which cgroup has which number in the kernel's lists of unused objects (`mem_cgroup.kmemcg_id`).

use std::collections::HashMap;

use super::UnusedError;
use crate::{
    kernel::{
        layout::Layout,
        memory::{Memory, MemoryError, Readable as _},
    },
    stream::event::CgroupId,
};

/// More than any host has: a longer walk has lost its way.
const MOST: usize = 100_000;

pub struct ControlIds(HashMap<i32, CgroupId>);

impl ControlIds {
    pub fn read(memory: &Memory, layout: &Layout) -> Result<Self, UnusedError> {
        let fields = layout.unused.as_ref().map_err(|why| UnusedError::Layout(why.clone()))?;
        let Ok(of_task) = layout.memory_cgroups.clone() else { return Ok(Self(HashMap::new())) };
        let follow = |address: u64, offset: u32| memory.u64(address.wrapping_add(offset.into()));
        let set = follow(memory.current_task()?, of_task.task_cgroups)?;
        let mut state = follow(set, of_task.set_entry)?;
        while let parent @ 1.. = follow(state, fields.cgroups.parent)? {
            state = parent;
        }
        let mut found = HashMap::new();
        let mut waiting = vec![state];
        while let Some(state) = waiting.pop() {
            let cgroup = state.wrapping_sub(fields.cgroups.state.into());
            let number = memory.u32(cgroup.wrapping_add(fields.cgroups.number.into()))? as i32;
            let node = follow(follow(state, of_task.state_cgroup)?, of_task.cgroup_node)?;
            // A removed one has its parent's number. Parents come first.
            found.entry(number).or_insert(follow(node, of_task.node_id)?);
            if found.len() < MOST {
                waiting.extend(children(memory, layout, state)?);
            }
        }
        Ok(Self(found))
    }

    pub fn ids(&self) -> Vec<i32> {
        self.0.keys().copied().filter(|&id| id >= 0).collect()
    }

    pub fn cgroup(&self, id: i32) -> Option<CgroupId> {
        self.0.get(&id).copied()
    }
}

/// Some may be missing where the list changes meanwhile.
fn children(memory: &Memory, layout: &Layout, state: u64) -> Result<Vec<u64>, MemoryError> {
    let Ok(fields) = &layout.unused else { return Ok(Vec::new()) };
    let fields = &fields.cgroups;
    let head = state.wrapping_add(fields.children.into());
    let mut children = Vec::new();
    let mut at = memory.u64(head)?;
    while at != head && children.len() < MOST {
        let child = at.wrapping_sub(fields.sibling.into());
        if memory.u64(child.wrapping_add(fields.parent.into())).ok() != Some(state) {
            break;
        }
        children.push(child);
        at = memory.u64(at)?;
    }
    Ok(children)
}
