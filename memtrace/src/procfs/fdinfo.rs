//! /proc/self/fdinfo/N: what the kernel says of a file descriptor, as lines of `key:<tab>value`.

#[derive(Clone, Copy, Debug)]
pub struct Fdinfo<'a>(&'a [u8]);

impl<'a> Fdinfo<'a> {
    pub fn parse(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// None where there is no such line, or its value is not a number.
    pub fn number(self, key: &str) -> Option<u64> {
        let mut lines = self.0.split(|&byte| byte == b'\n');
        let value = lines.find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b":"))?;
        str::from_utf8(value).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_a_program() {
        let number = |text: &str| Fdinfo::parse(text.as_bytes()).number("recursion_misses");
        let fdinfo =
            |line: &str| format!("pos:\t0\nflags:\t02000002\nprog_type:\t17\n{line}verified_insns:\t92\n");
        for (line, misses) in [
            ("recursion_misses:\t0\n", Some(0)),
            ("recursion_misses:\t18446744073709551615\n", Some(u64::MAX)),
            ("recursion_misses:\t17\n", Some(17)),
            // Before v5.12 there is none.
            ("", None),
            ("no_recursion_misses:\t5\n", None),
            ("recursion_misses_total:\t5\n", None),
            ("recursion_misses:\tmany\n", None),
        ] {
            assert_eq!(number(&fdinfo(line)), misses, "{line:?}");
        }
        assert_eq!(number(""), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fdinfo::parse(&bytes).number("pos");
        }
    }
}
