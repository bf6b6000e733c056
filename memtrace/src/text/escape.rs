//! Names are hostile: command names, paths and host names come from whoever runs on the host. One function per
//! medium makes them harmless there.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use unicode_width::UnicodeWidthChar as _;

/// For a terminal: nothing in the result moves the cursor, changes a colour, joins, reorders or hides text.
///
/// Escaped as `\xNN` (one byte: control characters and what is not UTF-8) or `\u{NN}` (one character): the C0
/// and C1 controls and DEL, bidirectional overrides, zero-width and other format characters, unassigned and
/// private ones, every space but ` `, and combining marks, which pile up over their neighbours. Newline, tab and
/// carriage return are `\n`, `\t` and `\r`. A backslash is `\\`, so the original can always be told.
pub fn terminal(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && text.chars().all(|c| c != '\\' && is_plain(c))
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_char(&mut out, c));
        chunk.invalid().iter().for_each(|&byte| push_byte(&mut out, byte));
    }
    Cow::Owned(out)
}

/// A path for a terminal, in an error above all: [`terminal`].
pub fn path(path: &Path) -> Cow<'_, str> {
    terminal(path.as_os_str().as_bytes())
}

/// For a JSON string's value, before the JSON writer quotes it: UTF-8 stays what it is, each byte that is not
/// part of UTF-8 becomes the four characters `\xNN`.
///
/// A name that has the characters `\xNN` itself looks the same; that is the price for all real names reading
/// plainly in `jq`.
pub fn json(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|&byte| push_byte(&mut out, byte));
    }
    Cow::Owned(out)
}

/// For the inside of a JSON string that serde_json already quoted: what a terminal would obey or hide is written
/// as `\uNNNN`, which is the same text to whoever parses it. JSON itself asks that only of C0 controls.
pub fn json_fragment(fragment: &str) -> Cow<'_, str> {
    if fragment.chars().all(is_plain) {
        return Cow::Borrowed(fragment);
    }
    let mut out = String::with_capacity(fragment.len() + 8);
    for c in fragment.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(out)
}

/// For a field of a CSV file, before it is quoted: one line, and nothing that a spreadsheet runs.
///
/// As in JSON, UTF-8 stays what it is and other bytes are `\xNN`; so is what a terminal would obey or hide, which no quote
/// takes away in CSV, and a semicolon, which parts fields where a comma is for decimals. A name that would be taken for a
/// formula has a `'` in front of it, and so has one that begins with a `'` already: whoever drops it has the name.
pub fn csv(bytes: &[u8]) -> Cow<'_, str> {
    let is_harmless = |c: char| c != ';' && is_plain(c);
    let mut out = match str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_harmless) => Cow::Borrowed(text),
        _ => {
            let mut out = String::with_capacity(bytes.len() + 8);
            for chunk in bytes.utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        ';' => push_byte(&mut out, b';'),
                        '\\' => out.push(c),
                        _ => push_char(&mut out, c),
                    }
                }
                chunk.invalid().iter().for_each(|&byte| push_byte(&mut out, byte));
            }
            Cow::Owned(out)
        }
    };
    if out.trim_start_matches([' ', '"']).starts_with(FORMULA) {
        out.to_mut().insert(0, '\'');
    }
    out
}

/// For a column of a table that programs query and people look at the results: UTF-8 stays what it is, and so does a backslash.
/// Bytes that are not UTF-8, and what a terminal would obey or hide, are escaped as in [`terminal`].
pub fn column(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes)
        && text.chars().all(is_plain)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' { out.push(c) } else { push_char(&mut out, c) }
        }
        chunk.invalid().iter().for_each(|&byte| push_byte(&mut out, byte));
    }
    Cow::Owned(out)
}

/// What spreadsheets take for the beginning of a formula, in full width too; tab and carriage return are escaped.
const FORMULA: [char; 9] = ['=', '+', '-', '@', '\'', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// For Markdown, a name that was made harmless for a terminal before: as code, in which nothing but a backtick means anything,
/// and in a table a bar. These two are written as the terminal's escapes are. Empty where there is no name.
pub fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("`{}`", text.replace('`', "\\x60").replace('|', "\\x7c"))
}

/// For a script element, JSON that [`json_fragment`] made plain before: there, these signs are in strings only, and the
/// element's end cannot be among them.
pub fn json_in_html(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// For Markdown, inside of a line, what was made harmless for a terminal before: each sign that could mean something there
/// is the character itself.
pub fn markdown(text: &str) -> Cow<'_, str> {
    let is_sign = |c: char| r"\`*_{}[]<>!|~&$@^".contains(c);
    if !text.contains(is_sign) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_sign(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// The same for the beginning of a line too, which is where lists, headings and rules are told from text, and blanks mean
/// code, or nothing.
pub fn markdown_line(text: &str) -> Cow<'_, str> {
    let harmless = markdown(text.trim_start_matches(' '));
    let first_word = harmless.split(' ').next().unwrap_or_default();
    let number = first_word.strip_suffix(['.', ')']);
    match number {
        _ if harmless.starts_with(['-', '+', '#', '=', ':']) => Cow::Owned(format!("\\{harmless}")),
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let (end, rest) = harmless.split_at(number.len());
            Cow::Owned(format!("{end}\\{rest}"))
        }
        _ => harmless,
    }
}

/// The same for a line in which commands stand between backticks.
pub fn markdown_prose(text: &str) -> String {
    if text.matches('`').count() % 2 == 1 {
        // One of them has no end.
        return markdown_line(text).into_owned();
    }
    let part = |(at, part): (usize, &str)| match at {
        0 => markdown_line(part).into_owned(),
        _ if at % 2 == 1 => code(part),
        _ => markdown(part).into_owned(),
    };
    text.split('`').enumerate().map(part).collect()
}

/// For a name in a folded stack: as for a terminal, and nothing in it parts it from others. Blanks stay inside of it only.
pub fn folded(name: &[u8]) -> String {
    let shown = terminal(name).replace(';', "\\x3b");
    let inside = shown.trim_matches(' ');
    let blanks = |count| "\\x20".repeat(count);
    if inside.is_empty() {
        return blanks(shown.len());
    }
    let before = shown.len() - shown.trim_start_matches(' ').len();
    let after = shown.len() - before - inside.len();
    blanks(before) + inside + &blanks(after)
}

fn push_char(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        _ if is_plain(c) => out.push(c),
        _ if c.is_ascii() => push_byte(out, c as u8),
        _ => out.extend(c.escape_unicode()),
    }
}

fn push_byte(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

/// The character shows as itself, in cells of its own. The standard library knows what has no glyph; a width of
/// zero finds the rest (ignorable letters such as the Hangul fillers).
pub fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
        || (!c.is_ascii() && c.escape_debug().len() == 1 && c.width().is_some_and(|cells| cells > 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], on_terminal: &str, in_json: &str) {
        assert_eq!(terminal(bytes), on_terminal);
        assert_eq!(json(bytes), in_json);
    }

    #[test]
    fn plain_text_stays() {
        check(b"", "", "");
        check(b"curl", "curl", "curl");
        check(b"a \"b\" 'c' <d>", "a \"b\" 'c' <d>", "a \"b\" 'c' <d>");
        check("Grüße 日本 🦀".as_bytes(), "Grüße 日本 🦀", "Grüße 日本 🦀");
    }

    #[test]
    fn controls() {
        check(b"\x1b[31mred", "\\x1b[31mred", "\x1b[31mred");
        check(b"a\nb\tc\rd\0", "a\\nb\\tc\\rd\\x00", "a\nb\tc\rd\0");
        check(b"\x7f", "\\x7f", "\x7f");
        check("\u{9b}31m".as_bytes(), "\\u{9b}31m", "\u{9b}31m");
    }

    #[test]
    fn backslash_is_unambiguous_on_the_terminal() {
        check(b"\\x1b", "\\\\x1b", "\\x1b");
        check(b"\\n", "\\\\n", "\\n");
    }

    #[test]
    fn invalid_utf8() {
        check(b"a\xff\xfeb", "a\\xff\\xfeb", "a\\xff\\xfeb");
        // A C1 control as a raw byte, a cut character, a surrogate.
        check(b"\x9b31m", "\\x9b31m", "\\x9b31m");
        check(b"\xe6\x97", "\\xe6\\x97", "\\xe6\\x97");
        check(b"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80");
    }

    #[test]
    fn markdown_is_text() {
        let check = |text, inside: &str, line: &str| {
            assert_eq!((&*markdown(text), &*markdown_line(text)), (inside, line));
        };
        check("plain text, 3.5 MiB (12%)", "plain text, 3.5 MiB (12%)", "plain text, 3.5 MiB (12%)");
        check("a_b*|<b>", r"a\_b\*\|\<b\>", r"a\_b\*\|\<b\>");
        check("- x", "- x", r"\- x");
        check("# x", "# x", r"\# x");
        check("    - x", "    - x", r"\- x");
        check("  ", "  ", "");
        assert_eq!(markdown_prose("- `a_b`: x_y, `c|`"), r"\- `a_b`: x\_y, `c\x7c`");
        assert_eq!(markdown_prose("a`b_"), r"a\`b\_");
        check("12. x", "12. x", r"12\. x");
        check("1) x", "1) x", r"1\) x");
        check(r"\x1b[2J `![x](y)`", r"\\x1b\[2J \`\!\[x\](y)\`", r"\\x1b\[2J \`\!\[x\](y)\`");
    }

    #[test]
    fn spreadsheets_run_nothing() {
        let check = |bytes: &[u8], expect: &str| assert_eq!(csv(bytes), expect);
        check(b"curl", "curl");
        check(b"a, \"b\" -c", "a, \"b\" -c");
        check(b"a\\x2db\xff", "a\\x2db\\xff");
        check(b"=1", "'=1");
        check(b"  \"=1", "'  \"=1");
        check(b"-rf", "'-rf");
        check(b"'x", "''x");
        check("\u{ff20}x".as_bytes(), "'\u{ff20}x");
        check(b"a;=1", "a\\x3b=1");
        check(b"\t=1\r\n", "\\t=1\\r\\n");
        check("\u{202e}x".as_bytes(), "\\u{202e}x");
    }

    #[test]
    fn code_is_code_to_its_end() {
        let check = |text, expect: &str| assert_eq!(code(text), expect);
        check("", "");
        check("<b>&amp;*_", "`<b>&amp;*_`");
        check("a`b``|c", r"`a\x60b\x60\x60\x7cc`");
        check(r"\\", r"`\\`");
    }

    #[test]
    fn folded_stacks_are_parted_by_what_is_in_no_name() {
        let check = |name: &[u8], expect: &str| assert_eq!(folded(name), expect);
        check(b"Web Content", "Web Content");
        check(b"a;b", "a\\x3bb");
        check(b" a\nb  ", "\\x20a\\nb\\x20\\x20");
        check(b"  ", "\\x20\\x20");
        check(b"", "");
    }

    #[test]
    fn what_reorders_hides_or_joins() {
        for c in [
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{ad}',
            '\u{301}',
            '\u{fe0f}',
            '\u{2028}',
            '\u{a0}',
            '\u{3000}',
            '\u{3164}',
            '\u{e000}',
            '\u{e0041}',
            '\u{10ffff}',
        ] {
            assert_eq!(terminal(c.to_string().as_bytes()), format!("\\u{{{:x}}}", c as u32));
        }
    }

    /// The inverse of [`terminal`]: it exists exactly if nothing is ambiguous.
    fn unescape(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            out.extend_from_slice(&rest.as_bytes()[..at]);
            let (kind, after) = rest[at + 1..].split_at(1);
            rest = after;
            match kind {
                "\\" => out.push(b'\\'),
                "n" => out.push(b'\n'),
                "t" => out.push(b'\t'),
                "r" => out.push(b'\r'),
                "x" => {
                    out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                    rest = &rest[2..];
                }
                "u" => {
                    let (code, after) = rest[1..].split_once('}').unwrap();
                    let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                    out.extend_from_slice(c.to_string().as_bytes());
                    rest = after;
                }
                other => panic!("unknown escape {other:?}"),
            }
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            any::<String>().prop_map(String::into_bytes),
            "[\\x00-\\x1f\\x7f-\\u{9f}\\\\\\u{200b}-\\u{202e}xu{}n]{0,32}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn no_control_reaches_the_terminal(bytes in hostile()) {
            let shown = terminal(&bytes);
            prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
            prop_assert!(shown.chars().all(|c| c.width().is_some_and(|cells| cells > 0)), "{:?}", shown);
        }

        #[test]
        fn the_original_can_be_told(bytes in hostile()) {
            prop_assert_eq!(unescape(&terminal(&bytes)), bytes);
        }

        #[test]
        fn a_name_in_a_folded_stack_can_be_told(bytes in hostile()) {
            let name = folded(&bytes);
            prop_assert!(!name.contains(';') && name.trim() == name, "{:?}", name);
            prop_assert_eq!(unescape(&name), bytes);
        }

        #[test]
        fn each_sign_of_markdown_has_a_backslash(bytes in hostile()) {
            let shown = terminal(&bytes);
            let marked = markdown(&shown).into_owned();
            let mut chars = marked.chars();
            let mut text = String::new();
            while let Some(c) = chars.next() {
                prop_assert!(!"`*_[]<>|".contains(c), "{}", marked);
                text.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            prop_assert_eq!(text, shown);
        }

        #[test]
        fn csv_is_of_one_line_and_no_formula(bytes in hostile()) {
            let field = csv(&bytes);
            prop_assert!(field.chars().all(is_plain) && !field.contains(';'), "{}", field);
            prop_assert!(!field.trim_start_matches([' ', '"']).starts_with(FORMULA) || field.starts_with('\''));
        }

        #[test]
        fn json_in_html_cannot_end_its_element(bytes in hostile()) {
            let quoted = serde_json::to_string(&json(&[&bytes[..], b"</script><!--&"].concat())).unwrap();
            let embedded = json_in_html(&json_fragment(&quoted));
            prop_assert!(!embedded.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{}", embedded);
            let (back, original): (String, String) =
                (serde_json::from_str(&embedded).unwrap(), serde_json::from_str(&quoted).unwrap());
            prop_assert_eq!(back, original);
        }

        #[test]
        fn json_always_parses(bytes in hostile()) {
            let line = serde_json::to_string(&json(&bytes)).unwrap();
            prop_assert!(!line.bytes().any(|byte| byte < b' '), "one line, no raw control: {line:?}");
            let back: String = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(back, json(&bytes));
        }

        #[test]
        fn json_leaves_utf8_alone(text in any::<String>()) {
            prop_assert_eq!(json(text.as_bytes()), text.as_str());
        }
    }
}
