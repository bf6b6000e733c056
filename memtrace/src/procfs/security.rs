//! What the kernel forbids to all.

/// The mode in /sys/kernel/security/lockdown, which is the word in brackets: `none [integrity] confidentiality`.
pub fn lockdown_mode(modes: &[u8]) -> Option<&str> {
    let (_, rest) = str::from_utf8(modes).ok()?.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(lockdown_mode(b"none [integrity] confidentiality\n"), Some("integrity"));
        assert_eq!(lockdown_mode(b"none"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = lockdown_mode(&[b"[", &*bytes].concat());
        }
    }
}
