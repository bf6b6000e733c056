//! /proc/kallsyms: where the kernel's functions are.

/// The functions of the kernel, its modules and BPF programs.
pub struct Kallsyms {
    text: Vec<u8>,
    /// By address: where each name stands in the text, with its module.
    starts: Vec<(u64, u32)>,
    /// Likewise of data, which most kernels hide.
    data: Vec<(u64, u32)>,
}

/// The function that an address is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub name: String,
    /// `[overlay]` for a module's; None for the kernel's own.
    pub module: Option<String>,
    /// How far behind its start.
    pub offset: u64,
}

impl Kallsyms {
    /// Lines of `ffffffff81234560 t function [module]`; other kinds than `t`, `T`, `w` and `W` are no functions. Others are data. None where all
    /// addresses are hidden.
    pub fn parse(text: Vec<u8>) -> Option<Self> {
        let (mut starts, mut data) = (Vec::new(), Vec::new());
        let mut at = 0;
        for line in text.split(|&byte| byte == b'\n') {
            if let Some((address, kind, name)) = symbol(line) {
                let list = match kind {
                    b't' | b'T' | b'w' | b'W' => &mut starts,
                    _ => &mut data,
                };
                list.push((address, (at + name) as u32));
            }
            at += line.len() + 1;
        }
        if starts.iter().all(|(address, _)| *address == 0) {
            return None;
        }
        // Stable, so that of aliases the first stays first.
        starts.sort_by_key(|(address, _)| *address);
        starts.dedup_by_key(|(address, _)| *address);
        data.sort_by_key(|(address, _)| *address);
        Some(Self { text, starts, data })
    }

    /// The function or data that begins at an address.
    pub fn beginning_at(&self, address: u64) -> Option<Symbol> {
        let name = [&self.starts, &self.data].into_iter().find_map(|list| {
            let index = list.partition_point(|(start, _)| *start < address);
            list.get(index).filter(|(start, _)| *start == address)
        });
        self.named(name?.1, 0)
    }

    /// None below all functions.
    pub fn symbol(&self, address: u64) -> Option<Symbol> {
        let index = self.starts.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, name) = self.starts[index];
        self.named(name, address - start)
    }

    /// The symbol whose name is there in the text.
    fn named(&self, name: u32, offset: u64) -> Option<Symbol> {
        let line = self.text[name as usize..].split(|&byte| byte == b'\n').next()?;
        let mut words = line.split(u8::is_ascii_whitespace).map(String::from_utf8_lossy);
        let name = words.next()?.into_owned();
        Some(Symbol { name, module: words.next().map(|module| module.into_owned()), offset })
    }
}

/// Address, kind, and where in the line the name begins.
fn symbol(line: &[u8]) -> Option<(u64, u8, usize)> {
    let digits = line.iter().position(|&byte| byte == b' ')?;
    let address = u64::from_str_radix(str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
    let kind = *line.get(digits + 1)?;
    let is_known = matches!(kind, b't' | b'T' | b'w' | b'W' | b'd' | b'D' | b'r' | b'R' | b'b' | b'B');
    (is_known && line.get(digits + 2) == Some(&b' ')).then_some((address, kind, digits + 3))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn lines_of_functions_and_of_data() {
        let text = "ffffffff81234560 t __d_alloc\nffffffff81234700 D data\nffffffffc0001000 t ovl_alloc_inode\t[overlay]\nodd\n";
        let symbols = Kallsyms::parse(text.into()).unwrap();
        let symbol = |name: &str, module: Option<&str>, offset| {
            Some(Symbol { name: name.to_owned(), module: module.map(str::to_owned), offset })
        };
        assert_eq!(symbols.symbol(0xffff_ffff_8123_4701), symbol("__d_alloc", None, 0x1a1));
        assert_eq!(symbols.symbol(0xffff_ffff_c000_101c), symbol("ovl_alloc_inode", Some("[overlay]"), 0x1c));
        assert_eq!(symbols.symbol(0x1000), None);
        assert_eq!(symbols.beginning_at(0xffff_ffff_8123_4700), symbol("data", None, 0));
        assert_eq!(
            symbols.beginning_at(0xffff_ffff_c000_1000),
            symbol("ovl_alloc_inode", Some("[overlay]"), 0)
        );
        assert_eq!(symbols.beginning_at(0xffff_ffff_8123_4561), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\n'), Just(b't'), b'0'..=b'9'], 0..200), address in any::<u64>()) {
            let _ = Kallsyms::parse(bytes).and_then(|symbols| symbols.symbol(address));
        }
    }
}
