//! Constant expressions of C, as far as the kernel's formats have them: numbers, names, casts, `~`, `<<`, `&` and `|`.

/// No expression of the kernel's is nested as deeply by far.
const MAX_DEPTH: usize = 100;

/// The value of an expression, in which `named` gives the values of names. None for other kinds of expressions.
pub fn value(text: &str, named: &dyn Fn(&str) -> Option<u32>) -> Option<u64> {
    let mut parser = Parser { rest: text, named, depth: 0 };
    let value = parser.any_of()?;
    parser.rest.trim_start().is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    named: &'a dyn Fn(&str) -> Option<u32>,
    depth: usize,
}

/// From the operator that binds least to what binds most.
impl Parser<'_> {
    fn any_of(&mut self) -> Option<u64> {
        let mut value = self.all_of()?;
        while self.takes("|") {
            value |= self.all_of()?;
        }
        Some(value)
    }

    fn all_of(&mut self) -> Option<u64> {
        let mut value = self.shifted()?;
        while self.takes("&") {
            value &= self.shifted()?;
        }
        Some(value)
    }

    fn shifted(&mut self) -> Option<u64> {
        let mut value = self.operand()?;
        while self.takes("<<") {
            value = value.checked_shl(u32::try_from(self.operand()?).ok()?)?;
        }
        Some(value)
    }

    fn operand(&mut self) -> Option<u64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = if self.takes("~") {
            !self.operand()?
        } else if self.takes_cast() {
            self.operand()?
        } else if self.takes("(") {
            let value = self.any_of()?;
            self.takes(")").then_some(value)?
        } else {
            self.word()?
        };
        self.depth -= 1;
        Some(value)
    }

    /// A number or a name.
    fn word(&mut self) -> Option<u64> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !is_of_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return (self.named)(word).map(u64::from);
        }
        let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
        match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        }
    }

    /// A type in parentheses: words that are neither numbers nor known names.
    fn takes_cast(&mut self) -> bool {
        let Some((inside, rest)) =
            self.rest.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'))
        else {
            return false;
        };
        let mut words = inside.split_whitespace();
        let is_type =
            |word: &str| word.chars().all(is_of_word) && !word.starts_with(|c: char| c.is_ascii_digit());
        let is_cast = !inside.trim().is_empty()
            && words.all(|word| is_type(word) && (self.named)(word).is_none())
            && rest.trim_start().starts_with(|c: char| c == '(' || c == '~' || is_of_word(c));
        if is_cast {
            self.rest = rest;
        }
        is_cast
    }

    fn takes(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str) -> Option<u32> {
        (name == "___GFP_IO_BIT").then_some(6)
    }

    #[test]
    fn expressions_of_c() {
        for (text, expected) in [
            ("7", 7),
            ("0x400u", 0x400),
            (" ( 1UL ) << 3 ", 8),
            ("1|2&3<<1", 3),
            ("(1|2)&3<<1", 2),
            ("~0x1 & 0x7", 6),
            ("( unsigned long)(( gfp_t)(0x400u|0x800u))", 0xc00),
            ("(unsigned long)((gfp_t)((((1UL))) << (___GFP_IO_BIT)))", 64),
            ("( gfp_t)0", 0),
            ("(( gfp_t)(3)) & ~(( gfp_t)(1))", 2),
            ("(gfp_t) ~ (gfp_t) 0 & 5", 5),
        ] {
            assert_eq!(value(text, &named), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in
            ["", "()", "1 +", "1 2", "(1", "NOBODY", "(void *)0", "1 << 64", "1 <<", "0xg", "1 ? 2 : 3"]
        {
            assert_eq!(value(text, &named), None, "{text}");
        }
        assert_eq!(value(&"(".repeat(1_000_000), &named), None);
        assert_eq!(value(&"~".repeat(1_000_000), &named), None);
    }

    proptest! {
        #[test]
        fn any_text(text in "[ ()~|&<0-9a-z_]{0,60}") {
            let _ = value(&text, &named);
        }

        /// Parentheses and casts around a part change nothing.
        #[test]
        fn parentheses_are_undone(a in any::<u32>(), b in any::<u32>(), shift in 0..32_u32, depth in 0..20_usize) {
            let (open, close) = ("(".repeat(depth), ")".repeat(depth));
            let text = format!("(unsigned long)({open}( gfp_t){a:#x}u{close} | {open}{b}{close} & ~(1UL << {shift}))");
            prop_assert_eq!(value(&text, &named), Some(u64::from(a) | u64::from(b) & !(1 << shift)), "{}", text);
        }
    }
}
