//! Numbers and texts as bytes. Whole numbers are varints (LEB128), texts have their length in front.
//!
//! What is read may be damaged or made up: nothing is trusted. A count is never larger than the bytes that are left could hold,
//! nor than [`MAX_ITEMS`], since what takes a byte in the file may take a hundred in memory. Figures and times that no machine has
//! count as the largest that there may be, so that whoever adds them up needs no care; they are no reason to refuse what stands
//! beside them.

use crate::stream::ledger::MAX_PERIOD;

/// Bytes that nobody here has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what should be {0} is not")]
pub struct Malformed(pub &'static str);

/// Most items of one list: a block has seldom a tenth of it.
pub const MAX_ITEMS: usize = 1 << 18;

/// No count or number of bytes is larger: every machine's memory is smaller, and floating point has it exactly.
pub const MAX_FIGURE: u64 = 1 << 53;

/// No time is later, on either clock: in 2262.
const LATEST: u64 = i64::MAX as u64;

/// A varint of 64 bits has so many bytes at most.
const MAX_VARINT: usize = 10;

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small ones of either sign are short.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(value.into());
}

pub fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    put_bool(out, value.is_some());
    if let Some(value) = value {
        put(out, value);
    }
}

pub fn put_list<T>(
    out: &mut Vec<u8>,
    list: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    put_varint(out, list.len() as u64);
    for item in list {
        put(out, item);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads from the front.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("a number of bytes"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed("a byte"))?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match *self.rest {
            [first, ref rest @ ..] if first < 0x80 => {
                self.rest = rest;
                Ok(first.into())
            }
            [first, second, ref rest @ ..] if second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().take(MAX_VARINT).enumerate() {
            let bits = u64::from(byte & 0x7f);
            // Of the tenth byte there is room for one bit.
            if at == MAX_VARINT - 1 && bits > 1 {
                break;
            }
            value |= bits << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("a whole number"))
    }

    #[inline]
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        self.varint().map(unzigzag)
    }

    /// A count or a number of bytes.
    pub fn figure(&mut self) -> Result<u64, Malformed> {
        Ok(self.varint()?.min(MAX_FIGURE))
    }

    /// Of either sign.
    pub fn signed_figure(&mut self) -> Result<i64, Malformed> {
        let most = MAX_FIGURE as i64;
        Ok(self.signed()?.clamp(-most, most))
    }

    /// Nanoseconds.
    pub fn time(&mut self) -> Result<u64, Malformed> {
        Ok(self.varint()?.min(LATEST))
    }

    /// One in so many.
    pub fn period(&mut self) -> Result<u32, Malformed> {
        Ok(self.u32()?.clamp(1, MAX_PERIOD))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.varint()?.try_into().map_err(|_| Malformed("a number of 32 bits"))
    }

    pub fn u64_fixed(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
    }

    /// None where it is not finite.
    pub fn f64(&mut self) -> Result<Option<f64>, Malformed> {
        let value = f64::from_bits(self.u64_fixed()?);
        Ok(Some(value).filter(|value| value.is_finite()))
    }

    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("yes or no")),
        }
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.take(usize::try_from(len).map_err(|_| Malformed("a length"))?)
    }

    pub fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("UTF-8"))
    }

    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A count of what takes at least a byte each, and is there so many times at most.
    pub fn count(&mut self, most: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed("a count"))?;
        if count <= self.rest.len().min(most) { Ok(count) } else { Err(Malformed("a count of what follows")) }
    }

    /// So many of them as are said; each must take a byte at least.
    pub fn list<T, C: FromIterator<T>>(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<C, Malformed> {
        self.list_of(MAX_ITEMS, read)
    }

    /// Not more than so many of them.
    pub fn list_of<T, C: FromIterator<T>>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<C, Malformed> {
        let count = self.count(most)?;
        (0..count).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_read(
            numbers in vec(any::<u64>(), 0..20),
            signed in any::<i64>(),
            text in ".{0,20}",
            float in proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL,
            maybe in any::<Option<bool>>(),
        ) {
            let mut out = Vec::new();
            put_list(&mut out, numbers.iter(), |out, &number| put_varint(out, number));
            put_signed(&mut out, signed);
            put_bytes(&mut out, text.as_bytes());
            put_f64(&mut out, float);
            put_option(&mut out, maybe, put_bool);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.list::<_, Vec<_>>(Cursor::varint), Ok(numbers));
            prop_assert_eq!(cursor.signed(), Ok(signed));
            prop_assert_eq!(cursor.text(), Ok(text));
            prop_assert_eq!(cursor.f64().map(|float| float.map(f64::to_bits)), Ok(Some(float.to_bits())));
            prop_assert_eq!(cursor.option(Cursor::bool), Ok(maybe));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..40)) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.varint().is_ok() {}
            let _ = Cursor::new(&bytes).list::<_, Vec<_>>(|cursor| cursor.bytes().map(drop));
            let _ = Cursor::new(&bytes).text();
            let _ = Cursor::new(&bytes).f64();
        }
    }

    #[test]
    fn a_number_has_64_bits() {
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&largest).varint(), Ok(u64::MAX));
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Cursor::new(&beyond).varint().is_err());
        assert!(Cursor::new(&[0x80; 20]).varint().is_err());
    }

    #[test]
    fn a_count_is_not_larger_than_what_follows() {
        assert!(Cursor::new(&[3, 1, 1]).count(MAX_ITEMS).is_err());
        assert_eq!(Cursor::new(&[2, 1, 1]).count(MAX_ITEMS), Ok(2));
        assert!(Cursor::new(&[2, 1, 1]).count(1).is_err());
    }

    #[test]
    fn what_no_machine_has_is_not_believed() {
        let read = |value: u64| {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            (Cursor::new(&out).figure(), Cursor::new(&out).time())
        };
        assert_eq!(read(7), (Ok(7), Ok(7)));
        assert_eq!(read(LATEST), (Ok(MAX_FIGURE), Ok(LATEST)));
        assert_eq!(read(u64::MAX), (Ok(MAX_FIGURE), Ok(LATEST)));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Cursor::new(&value.to_bits().to_le_bytes()).f64(), Ok(None), "{value}");
        }
        let most = MAX_FIGURE as i64;
        for (value, read) in [(-7, -7), (i64::MIN, -most), (i64::MAX, most)] {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            assert_eq!(Cursor::new(&out).signed_figure(), Ok(read), "{value}");
        }
        for (value, read) in [(0, 1), (64, 64), (u64::from(u32::MAX), MAX_PERIOD)] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(Cursor::new(&out).period(), Ok(read), "{value}");
        }
    }
}
