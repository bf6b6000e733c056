//! What addresses in the kernel are called.

use std::{fs, io};

use crate::{
    procfs::kallsyms::{Kallsyms, Symbol},
    stream::{calls::CallSites, event::Address},
};

const KALLSYMS: &str = "/proc/kallsyms";

#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    #[error("cannot read {KALLSYMS}: {0}")]
    Read(#[source] io::Error),
    #[error("{KALLSYMS} hides addresses: kernel.kptr_restrict is 2")]
    Hidden,
}

/// The kernel's functions, those of its modules and of BPF programs included.
pub struct Symbols(Kallsyms);

impl Symbols {
    pub fn read() -> Result<Self, SymbolsError> {
        Self::parse(fs::read(KALLSYMS).map_err(SymbolsError::Read)?)
    }

    fn parse(text: Vec<u8>) -> Result<Self, SymbolsError> {
        Kallsyms::parse(text).map(Self).ok_or(SymbolsError::Hidden)
    }

    /// The function that a place is in: `__d_alloc`, or `ovl_alloc_inode [overlay]`.
    pub fn function(&self, address: Address) -> Option<String> {
        let Symbol { name, module, .. } = self.0.symbol(address)?;
        Some(format!("{name}{}", suffix(module)))
    }
}

impl Symbols {
    /// The function or table that begins at an address; tables only where the kernel tells them (CONFIG_KALLSYMS_ALL).
    pub fn beginning_at(&self, address: Address) -> Option<String> {
        let Symbol { name, module, .. } = self.0.beginning_at(address)?;
        Some(format!("{name}{}", suffix(module)))
    }
}

impl CallSites for Symbols {
    /// `__d_alloc+0x2b`, or `ovl_alloc_inode+0x1c [overlay]`; None below all functions.
    fn name(&self, address: Address) -> Option<String> {
        let Symbol { name, module, offset } = self.0.symbol(address)?;
        Some(format!("{name}+{offset:#x}{}", suffix(module)))
    }
}

fn suffix(module: Option<String>) -> String {
    module.map(|module| format!(" {module}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "\
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81234560 t __d_alloc
ffffffff81234700 D no_function
ffffffff81234800 W weak
ffffffffc0001000 t ovl_alloc_inode\t[overlay]
";

    #[test]
    fn a_place_is_in_the_function_before_it() {
        let symbols = Symbols::parse(SOME.into()).unwrap();
        let name = |address| symbols.name(address);
        assert_eq!(name(0xffff_ffff_8123_458b).as_deref(), Some("__d_alloc+0x2b"));
        assert_eq!(name(0xffff_ffff_8123_4701).as_deref(), Some("__d_alloc+0x1a1"));
        assert_eq!(name(0xffff_ffff_8123_4800).as_deref(), Some("weak+0x0"));
        assert_eq!(name(0xffff_ffff_c000_101c).as_deref(), Some("ovl_alloc_inode+0x1c [overlay]"));
        assert_eq!(name(0xffff_ffff_8100_0001).as_deref(), Some("_text+0x1"));
        assert_eq!(name(0x1000), None);
        assert_eq!(symbols.function(0xffff_ffff_c000_101c).as_deref(), Some("ovl_alloc_inode [overlay]"));
    }

    #[test]
    fn hidden_addresses_are_no_addresses() {
        let hidden = "0000000000000000 T _text\n0000000000000000 t __d_alloc\n";
        assert!(matches!(Symbols::parse(hidden.into()), Err(SymbolsError::Hidden)));
        assert!(matches!(Symbols::parse(Vec::new()), Err(SymbolsError::Hidden)));
    }
}
