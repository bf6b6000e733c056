//! What it takes to count allocations that nobody saw: see [`super::count_unseen`].

use std::collections::HashSet;

use crate::{
    kernel::panel::{Panel, PanelPage},
    stream::{event::Address, ledger::Ledger},
    view::census::UnseenAllocations,
};

#[derive(Default)]
pub struct Unseen {
    /// None where nothing can be told.
    pub panel: Option<Panel>,
    /// Its pages, with the objects in them that are suspected.
    pub pages: Vec<PanelPage>,
    pub found: Option<UnseenAllocations>,
}

impl Unseen {
    /// With the panel, and what is in it at the beginning.
    pub fn begin(&mut self, panel: Option<(Panel, HashSet<Address>)>, ledger: &mut Ledger) {
        let Some((panel, older)) = panel else { return };
        self.panel = Some(panel);
        ledger.watched.set_older(older);
    }
}
