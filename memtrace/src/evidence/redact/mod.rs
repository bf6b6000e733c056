//! Hides who and what: names of users, programs, files, cgroups and hosts become tokens, the same for the same name, so that
//! counts, patterns and paths stay what they are and nobody can tell whose they were.
//!
//! - *Words* (runs of letters) become ten letters: `/srv/alice/nssdb` is `/srv/zogitulixy/kuxomigyto`. A few that tell nothing
//!   of a host stay ([`kept`]).
//! - *Ids and numbers* in names become other digits, as many: so a pattern of names stays one.
//! - *Punctuation* stays: paths keep their depth, and command lines their form.
//! - *Command names* and hosts become one token as a whole.
//!
//! Tokens come from a hash with a key that is made for one [`Redactor`], told to nobody and gone with it: without the key a guess
//! cannot be checked.

mod census;
mod kept;
pub mod recording;
mod triage;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher as _, Hash},
};

use crate::{
    stream::{
        event::{Comm, ObjectKind},
        ledger::pattern::{Part, parts},
    },
    text::frame::{self, Frame, Place},
};

/// Consonants that are no hex digits, so that no token looks like an id, and vowels.
const CONSONANTS: &[u8; 16] = b"ghjklmnpqrstvwxz";
const VOWELS: &[u8; 4] = b"iouy";
/// Of two letters each: 30 bits.
const SYLLABLES: usize = 5;

/// Longer runs of digits are no numbers that are counted up.
const MAX_NUMBER: usize = 20;

/// Ends of sockets that every host has.
const COMMON_ADDRESSES: [&str; 5] = ["", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"];

/// Marks that nobody chose a label for.
const COMMON_MARKS: [&[u8]; 2] = [b"SIGUSR1", b"mark"];

/// What stands in place of memtrace's own arguments, which name what was looked for.
const LEFT_OUT: &str = "(redacted)";

/// Bytes of redacted texts that are kept for when they come again.
const MAX_KNOWN: usize = 16 << 20;

/// Steps that a text takes, by its length: when it comes for the first time, and again.
const FIRST_STEP: usize = 8;
const NEXT_STEP: usize = 64;

/// Makes tokens, by a key of its own.
#[derive(Default)]
pub struct Redactor {
    key: RandomState,
    known: RefCell<Known>,
    steps: Cell<u64>,
    /// The last command name of an allocation, and its token; that of no name is none.
    last_comm: Cell<(Comm, Comm)>,
}

/// Redacted texts: paths, directories and functions come again and again.
#[derive(Default)]
struct Known {
    texts: HashMap<Box<[u8]>, Vec<u8>>,
    bytes: usize,
}

impl Redactor {
    /// How much it did.
    fn steps(&self) -> u64 {
        self.steps.get()
    }

    fn step(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }

    /// A path, a name, a command line: word by word.
    pub fn text(&self, text: &[u8]) -> Vec<u8> {
        if let Some(known) = self.known.borrow().texts.get(text) {
            self.step(text.len() / NEXT_STEP);
            return known.clone();
        }
        self.step(text.len() / FIRST_STEP);
        let redacted = self.words(text);
        let known = &mut *self.known.borrow_mut();
        known.bytes += text.len() + redacted.len();
        if known.bytes > MAX_KNOWN {
            *known = Known::default();
        }
        known.texts.insert(text.into(), redacted.clone());
        redacted
    }

    fn words(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * text.len());
        // What there is of a run of letters, and whether an id stands right before.
        let (mut word, mut is_behind_id) = (Vec::new(), false);
        parts(text, |part| match part {
            Part::Kept(bytes) => {
                for &byte in bytes {
                    if is_letter(byte) {
                        word.push(byte);
                    } else {
                        self.put_word(&mut word, &mut out);
                        out.push(byte);
                        is_behind_id = false;
                    }
                }
            }
            Part::Variable(id) => {
                let is_between = is_behind_id && !word.is_empty();
                self.put_word(&mut word, &mut out);
                if is_between {
                    // Two ids in one longer word would look like a single one.
                    out.push(b'-');
                }
                self.put_digits(id, &mut out);
                is_behind_id = true;
            }
        });
        self.put_word(&mut word, &mut out);
        out
    }

    /// [`Self::text`] of what is text.
    pub fn string(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.text(text.as_bytes())).into_owned()
    }

    /// One token for all of it.
    pub fn whole(&self, name: &[u8]) -> Vec<u8> {
        if name.is_empty() || kept::is_kept(name) { name.to_vec() } else { self.token(name) }
    }

    pub fn host(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.whole(name.as_bytes())).into_owned()
    }

    pub fn comm(&self, comm: Comm) -> Comm {
        Comm::truncated(&self.whole(comm.as_bytes()))
    }

    fn mark(&self, label: &[u8]) -> Vec<u8> {
        if COMMON_MARKS.contains(&label) { label.to_vec() } else { self.text(label) }
    }

    /// A label's directory. Of what was looked at it may begin with the kernel's own words: `pipefs:`, `mnt:[4026531840]/srv`.
    fn directory(&self, kind: Option<ObjectKind>, directory: &[u8]) -> Vec<u8> {
        let kernels = match kind {
            None => 0,
            // A protocol.
            Some(ObjectKind::Socket) => directory.len(),
            Some(_) => directory.iter().position(|&byte| byte == b'/').unwrap_or(directory.len()),
        };
        let (kernels, path) = directory.split_at(kernels);
        [kernels, &self.text(path)].concat()
    }

    /// A socket's name or what many have in common: `10.0.0.5:443->10.0.0.1:51000 CLOSE_WAIT`. Ports and states stay.
    fn socket(&self, name: &[u8]) -> Vec<u8> {
        let Ok(name) = str::from_utf8(name) else { return self.text(name) };
        let (ends, state) = name.split_at(name.find(' ').unwrap_or(name.len()));
        let ends: Vec<String> = ends.split("->").map(|end| self.end(end)).collect();
        (ends.join("->") + state).into_bytes()
    }

    fn end(&self, end: &str) -> String {
        let Some((address, port)) = end.rsplit_once(':') else { return end.to_owned() };
        if COMMON_ADDRESSES.contains(&address) {
            return end.to_owned();
        }
        let token = String::from_utf8_lossy(&self.token(address.as_bytes())).into_owned();
        format!("{token}:{port}")
    }

    /// The kernel's functions stay, and those of the C library; those of programs do not.
    fn stack(&self, frames: Vec<String>) -> Vec<String> {
        let in_kernel = frame::in_kernel(&frames);
        let frames = frames.into_iter().enumerate();
        frames.map(|(at, frame)| if at < in_kernel { frame } else { self.frame(frame) }).collect()
    }

    fn frame(&self, frame: String) -> String {
        match Frame::of(&frame).place {
            Place::File(file) if !kept::is_common_library(file) => match frame.rsplit_once("+0x") {
                Some((file, offset)) if !frame.ends_with(']') => format!("{}+0x{offset}", self.string(file)),
                _ => self.string(&frame),
            },
            Place::File(_) | Place::Kernel | Place::Unknown => frame,
        }
    }

    fn command(&self, command: &[String]) -> Vec<String> {
        if command.is_empty() { Vec::new() } else { vec!["memtrace".to_owned(), LEFT_OUT.to_owned()] }
    }

    fn put_word(&self, word: &mut Vec<u8>, out: &mut Vec<u8>) {
        if !word.is_empty() {
            out.extend(self.whole(word));
            word.clear();
        }
    }

    /// As many digits; the hyphens of a uuid stay.
    fn put_digits(&self, id: &[u8], out: &mut Vec<u8>) {
        if id.len() <= MAX_NUMBER && id.iter().all(u8::is_ascii_digit) {
            return out.extend(self.number(id));
        }
        // Of a long id once: what each digit becomes depends on all of it.
        let whole = self.hash(id);
        for (at, &byte) in id.iter().enumerate() {
            out.push(if byte == b'-' { byte } else { b'0' + (self.hash((whole, at)) % 10) as u8 });
        }
    }

    /// Another number of as many digits. Each step changes one digit by what the others are, and could be undone: so no two
    /// numbers become the same, however few digits they have.
    fn number(&self, digits: &[u8]) -> Vec<u8> {
        let mut number = digits.to_vec();
        for step in 0..2 * number.len() {
            let at = step % number.len();
            let others = self.hash((step, &number[..at], &number[at + 1..]));
            number[at] = b'0' + ((u64::from(number[at] - b'0') + others % 10) % 10) as u8;
        }
        number
    }

    fn token(&self, of: &[u8]) -> Vec<u8> {
        let mut hash = self.hash(of);
        let mut pick = |letters: &[u8]| {
            let letter = letters[(hash % letters.len() as u64) as usize];
            hash /= letters.len() as u64;
            letter
        };
        (0..SYLLABLES).flat_map(|_| [pick(CONSONANTS), pick(VOWELS)]).collect()
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.key.hash_one(of)
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

#[cfg(test)]
mod tests;
