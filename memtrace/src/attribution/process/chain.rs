//! Who started whom: `probe.sh < cron`, each chain kept once, however many processes have it.

use std::collections::HashMap;

use crate::stream::event::Comm;

pub type ChainId = u32;

/// Of a process whose parent is unknown, or that has none.
pub const NO_CHAIN: ChainId = 0;

/// Longer chains lose what is in the middle: a process that starts itself again and again would make one without end.
const MAX_LINKS: u8 = 32;

/// Most chains that are kept. Beyond, a process is given the chain of its parent.
const MAX_CHAINS: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Link {
    comm: Comm,
    /// The chain of its parent.
    up: ChainId,
    links: u8,
}

/// All chains; each is its first link, and refers to the rest.
#[derive(Clone, Default)]
pub struct Chains {
    links: Vec<Link>,
    ids: HashMap<(Comm, ChainId), ChainId>,
}

impl Chains {
    /// The chain of the children of a process with this name and the chain `up`. A name that repeats counts once: a shell's
    /// subshells add nothing.
    pub fn below(&mut self, comm: Comm, up: ChainId) -> ChainId {
        let links = match self.link(up) {
            Some(link) if link.comm == comm || link.links == MAX_LINKS => return up,
            Some(link) => link.links + 1,
            None => 1,
        };
        if let Some(&id) = self.ids.get(&(comm, up)) {
            return id;
        }
        if self.links.len() == MAX_CHAINS {
            return up;
        }
        self.links.push(Link { comm, up, links });
        let id = self.links.len() as ChainId;
        self.ids.insert((comm, up), id);
        id
    }

    /// The nearest first.
    pub fn get(&self, id: ChainId) -> Chain<'_> {
        Chain { chains: self, id }
    }

    fn link(&self, id: ChainId) -> Option<&Link> {
        self.links.get((id as usize).checked_sub(1)?)
    }
}

/// The command names of a process's parent, of that one's parent, and so on.
#[derive(Clone, Copy)]
pub struct Chain<'a> {
    chains: &'a Chains,
    id: ChainId,
}

impl Iterator for Chain<'_> {
    type Item = Comm;

    fn next(&mut self) -> Option<Comm> {
        let link = self.chains.link(self.id)?;
        self.id = link.up;
        Some(link.comm)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn comm(number: u8) -> Comm {
        Comm::truncated(&[b'a' + number])
    }

    fn text(chains: &Chains, id: ChainId) -> String {
        chains.get(id).map(|comm| format!("{comm:?}")).collect()
    }

    proptest! {
        #[test]
        fn a_chain_is_what_was_put_below_each_other(numbers in vec(0..4_u8, 0..60)) {
            let mut chains = Chains::default();
            let mut expected = String::new();
            let mut id = NO_CHAIN;
            for number in numbers {
                id = chains.below(comm(number), id);
                let letter = (b'a' + number) as char;
                if !expected.starts_with(letter) && expected.len() < MAX_LINKS.into() {
                    expected.insert(0, letter);
                }
                prop_assert_eq!(text(&chains, id), expected.as_str());
            }
        }
    }

    #[test]
    fn a_chain_is_kept_once() {
        let mut chains = Chains::default();
        let cron = chains.below(comm(0), NO_CHAIN);
        let script = chains.below(comm(1), cron);
        assert_eq!(chains.below(comm(1), cron), script);
        assert_ne!(chains.below(comm(1), NO_CHAIN), script);
    }

    #[test]
    fn where_there_is_no_room_a_chain_is_cut() {
        let mut chains = Chains::default();
        let first = chains.below(comm(0), NO_CHAIN);
        for number in 0..MAX_CHAINS {
            let name = Comm::truncated(number.to_string().as_bytes());
            chains.below(name, NO_CHAIN);
        }
        assert_eq!(chains.links.len(), MAX_CHAINS);
        assert_eq!(chains.below(comm(1), first), first);
        assert_eq!(text(&chains, first), "a");
    }
}
