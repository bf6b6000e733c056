//! What places in the kernel are called, as /proc/kallsyms tells.

use std::{fs, io};

use crate::stream::{calls::CallSites, event::Address};

const KALLSYMS: &str = "/proc/kallsyms";

#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    #[error("cannot read {KALLSYMS}: {0}")]
    Read(#[source] io::Error),
    #[error("{KALLSYMS} hides addresses: kernel.kptr_restrict is 2")]
    Hidden,
}

/// The kernel's functions, those of its modules and of BPF programs included.
pub struct Symbols {
    text: Vec<u8>,
    /// By address: where each name stands in the text, with its module.
    starts: Vec<(Address, u32)>,
}

impl Symbols {
    pub fn read() -> Result<Self, SymbolsError> {
        Self::parse(fs::read(KALLSYMS).map_err(SymbolsError::Read)?)
    }

    /// Lines of `ffffffff81234560 t function [module]`; other kinds than `t`, `T`, `w` and `W` are no functions.
    fn parse(text: Vec<u8>) -> Result<Self, SymbolsError> {
        let mut starts = Vec::new();
        let mut at = 0;
        for line in text.split(|&byte| byte == b'\n') {
            if let Some((address, name)) = function(line) {
                starts.push((address, (at + name) as u32));
            }
            at += line.len() + 1;
        }
        if starts.iter().all(|(address, _)| *address == 0) {
            return Err(SymbolsError::Hidden);
        }
        // Stable, so that of aliases the first stays first.
        starts.sort_by_key(|(address, _)| *address);
        starts.dedup_by_key(|(address, _)| *address);
        Ok(Self { text, starts })
    }

    /// The function that a place is in: `__d_alloc`, or `ovl_alloc_inode [overlay]`.
    pub fn function(&self, address: Address) -> Option<String> {
        let (name, module, _) = self.find(address)?;
        Some(format!("{name}{module}"))
    }

    /// Name, module with a blank before it, and how far behind its start.
    fn find(&self, address: Address) -> Option<(String, String, u64)> {
        let index = self.starts.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, name) = self.starts[index];
        let line = self.text[name as usize..].split(|&byte| byte == b'\n').next()?;
        let mut words = line.split(u8::is_ascii_whitespace).map(String::from_utf8_lossy);
        let name = words.next()?.into_owned();
        let module = words.next().map(|module| format!(" {module}")).unwrap_or_default();
        Some((name, module, address - start))
    }
}

impl CallSites for Symbols {
    /// `__d_alloc+0x2b`, or `ovl_alloc_inode+0x1c [overlay]`; None below all functions.
    fn name(&self, address: Address) -> Option<String> {
        let (name, module, offset) = self.find(address)?;
        Some(format!("{name}+{offset:#x}{module}"))
    }
}

/// Address, and where in the line the name begins.
fn function(line: &[u8]) -> Option<(Address, usize)> {
    let digits = line.iter().position(|&byte| byte == b' ')?;
    let address = u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
    let is_function = matches!(line.get(digits + 1)?, b't' | b'T' | b'w' | b'W');
    (is_function && line.get(digits + 2) == Some(&b' ')).then_some((address, digits + 3))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

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

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\n'), Just(b't'), b'0'..=b'9'], 0..200), address in any::<u64>()) {
            if let Ok(symbols) = Symbols::parse(bytes) {
                let _ = symbols.name(address);
            }
        }
    }
}
