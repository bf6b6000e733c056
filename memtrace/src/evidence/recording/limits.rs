//! What reading a recording may take, whatever is in it. Some kilobytes can be unpacked to gigabytes, name a million caches, or ask
//! for a report of a million rows a thousand times: so memory and work are bounded by the length of the file. What recorders write
//! stays far below: an event takes them half a byte at least, mostly one or two, and five when it is unpacked.

use std::cell::Cell;

use crate::text::human;

/// Bytes of a block when it is unpacked, of all blocks together, and of copies that are made of their texts: so many, and so many
/// more for each byte of the file.
const BLOCK: (u64, u64) = (16 << 20, 4);
const UNPACKED: (u64, u64) = (64 << 20, 32);
const COPIED: (u64, u64) = (64 << 20, 64);

/// Steps of one reading: an event, a definition, a row of a report.
const STEPS: (u64, u64) = (8 << 20, 3);

/// Bytes that all that is known at a time may take.
const MEMORY: (u64, u64) = (96 << 20, 12);

/// A text of so many bytes takes as long as a step more.
const TEXT_STEP: usize = 64;

/// More than it takes, the first time and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read the recording: {what} more than {most}, which is too much for a file of its length. Damaged files, or those made to \
     harm, do that; of others --from and --to read a part",
    what = .0.what(), most = .0.most()
)]
pub struct TooMuch(pub Bound);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Block(u64),
    Unpacked(u64),
    Copied(u64),
    Steps(u64),
    Memory(u64),
    Caches(u64),
}

impl Bound {
    fn what(self) -> &'static str {
        match self {
            Self::Block(_) => "unpacked, one of its blocks takes",
            Self::Unpacked(_) => "unpacked, its blocks take",
            Self::Copied(_) => "its names take",
            Self::Steps(_) => "to replay it takes",
            Self::Memory(_) => "what it tells of takes",
            Self::Caches(_) => "it names",
        }
    }

    fn most(self) -> String {
        match self {
            Self::Block(most) | Self::Unpacked(most) | Self::Copied(most) | Self::Memory(most) => {
                human::bytes(most)
            }
            Self::Steps(most) => human::number(most, "step"),
            Self::Caches(most) => human::number(most, "slab cache"),
        }
    }
}

/// For one file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(crate) block: u64,
    pub(crate) unpacked: u64,
    pub(crate) copied: u64,
    pub(crate) steps: u64,
    pub(crate) memory: u64,
}

impl Limits {
    pub fn of(file_len: u64) -> Self {
        let most = |(base, each): (u64, u64)| base.saturating_add(each.saturating_mul(file_len));
        Self {
            block: most(BLOCK),
            unpacked: most(UNPACKED),
            copied: most(COPIED),
            steps: most(STEPS),
            memory: most(MEMORY),
        }
    }

    /// Whether so many steps are within them.
    #[inline]
    pub fn check_steps(&self, steps: u64) -> Result<(), TooMuch> {
        if steps > self.steps { Err(TooMuch(Bound::Steps(self.steps))) } else { Ok(()) }
    }

    /// For what comes from this process itself.
    pub const NONE: Self =
        Self { block: u64::MAX, unpacked: u64::MAX, copied: u64::MAX, steps: u64::MAX, memory: u64::MAX };
}

/// What was unpacked of a file so far, however often.
#[derive(Debug)]
pub struct Unpacked {
    limits: Limits,
    bytes: Cell<u64>,
    copied: Cell<u64>,
}

impl Unpacked {
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: Cell::new(0), copied: Cell::new(0) }
    }

    /// What was unpacked so far does not count any more: who looks at a part again and again asks each time anew.
    pub fn start_anew(&self) {
        self.bytes.set(0);
        self.copied.set(0);
    }

    /// Before a block is unpacked: of so many bytes, from so many.
    pub fn block(&self, plain: u64, packed: u64) -> Result<(), TooMuch> {
        if plain > self.limits.block {
            return Err(TooMuch(Bound::Block(self.limits.block)));
        }
        add(&self.bytes, plain + packed, self.limits.unpacked).map_err(|most| TooMuch(Bound::Unpacked(most)))
    }

    pub fn copied(&self, bytes: u64) -> Result<(), TooMuch> {
        add(&self.copied, bytes, self.limits.copied).map_err(|most| TooMuch(Bound::Copied(most)))
    }
}

fn add(sum: &Cell<u64>, more: u64, most: u64) -> Result<(), u64> {
    sum.set(sum.get().saturating_add(more));
    if sum.get() > most { Err(most) } else { Ok(()) }
}

/// Counts the steps of one reading.
#[derive(Clone, Debug)]
pub struct Steps {
    left: u64,
    most: u64,
}

impl Steps {
    pub fn new(limits: Limits) -> Self {
        Self { left: limits.steps, most: limits.steps }
    }

    /// A file that has grown may take more.
    pub fn raise(&mut self, limits: Limits) {
        let more = limits.steps.saturating_sub(self.most);
        (self.left, self.most) = (self.left.saturating_add(more), self.most.saturating_add(more));
    }

    /// False once there were too many.
    #[inline]
    pub fn take(&mut self, steps: u64) -> bool {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// All that there may be.
    pub fn exceeded(&self) -> TooMuch {
        TooMuch(Bound::Steps(self.most))
    }

    pub fn taken(&self) -> u64 {
        self.most - self.left
    }
}

/// What it takes to read texts of so many bytes, beside the step of what they belong to.
#[inline]
pub fn steps_of_text(bytes: usize) -> u64 {
    (bytes / TEXT_STEP) as u64
}
