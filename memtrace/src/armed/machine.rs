//! When to record: a state machine without a clock of its own. Times never go back.
//!
//! What begins to hold is recorded. What begins while a recording is made is part of it. Each condition then cools down by itself: what
//! was recorded is not recorded again for a while, and something else that begins meanwhile is. A condition that begins while it
//! cools, and still holds afterwards, is recorded then.

use std::time::Duration;

use crate::condition::Holding;

#[derive(Clone, Debug)]
pub struct Machine {
    cool_down: Duration,
    conditions: Vec<Condition>,
    is_recording: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    /// It began to hold, goes on, and has not been recorded.
    is_due: bool,
    /// It is a reason of the recording that is made.
    is_reason: bool,
    /// Until then it is not recorded again.
    cools_until: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Armed,
    Recording,
    /// Some condition is, for so long yet.
    Cooling(Duration),
}

/// What is to be done. Conditions by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// A recording begins, for these.
    Record(Vec<usize>),
    /// The one that is made is for these too.
    Joins(Vec<usize>),
}

impl Machine {
    pub fn new(conditions: usize, cool_down: Duration) -> Self {
        Self { cool_down, conditions: vec![Condition::default(); conditions], is_recording: false }
    }

    pub fn state(&self, now: Duration) -> State {
        if self.is_recording {
            return State::Recording;
        }
        let cools_until = self.conditions.iter().map(|condition| condition.cools_until).max();
        match cools_until.unwrap_or_default().saturating_sub(now) {
            Duration::ZERO => State::Armed,
            left => State::Cooling(left),
        }
    }

    /// Takes what holds at a reading, of each condition.
    pub fn take(&mut self, now: Duration, holding: &[Holding]) -> Step {
        for (condition, holding) in self.conditions.iter_mut().zip(holding) {
            condition.is_due = match holding {
                Holding::Begins(_) => true,
                Holding::GoesOn => condition.is_due,
                Holding::No => false,
            };
        }
        self.step(now)
    }

    /// Something happens that does not go on: while it cools down, it counts for nothing.
    pub fn happens(&mut self, now: Duration, number: usize) -> Step {
        let condition = &mut self.conditions[number];
        condition.is_due = condition.cools_until <= now;
        self.step(now)
    }

    fn step(&mut self, now: Duration) -> Step {
        let mut reasons = Vec::new();
        for (number, condition) in self.conditions.iter_mut().enumerate() {
            if condition.is_due && condition.cools_until <= now {
                *condition = Condition { is_due: false, is_reason: true, ..*condition };
                reasons.push(number);
            }
        }
        if reasons.is_empty() {
            return Step::Nothing;
        }
        let was_recording = std::mem::replace(&mut self.is_recording, true);
        if was_recording { Step::Joins(reasons) } else { Step::Record(reasons) }
    }

    /// Somebody asks for a recording. False where one is made already.
    pub fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.is_recording, true)
    }

    /// The recording has ended.
    pub fn ended(&mut self, now: Duration) {
        self.is_recording = false;
        for condition in &mut self.conditions {
            if std::mem::take(&mut condition.is_reason) {
                condition.cools_until = now.saturating_add(self.cool_down);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const COOL_DOWN: u64 = 100;

    fn seconds(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    fn begins() -> Holding {
        Holding::Begins(String::new())
    }

    #[test]
    fn from_armed_to_recording_to_cooling_and_back() {
        let mut machine = Machine::new(2, seconds(COOL_DOWN));
        assert_eq!(machine.take(seconds(1), &[Holding::No, Holding::No]), Step::Nothing);
        assert_eq!(machine.state(seconds(1)), State::Armed);
        assert_eq!(machine.take(seconds(2), &[begins(), Holding::No]), Step::Record(vec![0]));
        assert_eq!(machine.state(seconds(2)), State::Recording);
        assert_eq!(machine.take(seconds(3), &[Holding::GoesOn, begins()]), Step::Joins(vec![1]));
        machine.ended(seconds(30));
        assert_eq!(machine.state(seconds(40)), State::Cooling(seconds(90)));
        assert_eq!(machine.take(seconds(50), &[begins(), begins()]), Step::Nothing);
        assert_eq!(machine.take(seconds(129), &[Holding::GoesOn, Holding::No]), Step::Nothing);
        // It still holds; the other does not.
        assert_eq!(machine.take(seconds(130), &[Holding::GoesOn, Holding::GoesOn]), Step::Record(vec![0]));
        machine.ended(seconds(160));
        assert_eq!(machine.state(seconds(260)), State::Armed);
    }

    #[test]
    fn another_condition_does_not_wait() {
        let mut machine = Machine::new(2, seconds(COOL_DOWN));
        machine.take(seconds(1), &[begins(), Holding::No]);
        machine.ended(seconds(2));
        assert_eq!(machine.take(seconds(3), &[begins(), begins()]), Step::Record(vec![1]));
    }

    #[test]
    fn who_asks_does_not_wait() {
        let mut machine = Machine::new(1, seconds(COOL_DOWN));
        machine.take(seconds(1), &[begins()]);
        assert!(!machine.ask());
        machine.ended(seconds(2));
        assert!(machine.ask());
        assert!(!machine.ask());
        assert_eq!(machine.state(seconds(3)), State::Recording);
    }

    #[test]
    fn what_happens_while_it_cools_is_forgotten() {
        let mut machine = Machine::new(2, seconds(COOL_DOWN));
        assert_eq!(machine.happens(seconds(1), 1), Step::Record(vec![1]));
        assert_eq!(machine.happens(seconds(2), 1), Step::Joins(vec![1]));
        machine.ended(seconds(3));
        assert_eq!(machine.happens(seconds(50), 1), Step::Nothing);
        assert_eq!(machine.take(seconds(200), &[Holding::No]), Step::Nothing);
        assert_eq!(machine.happens(seconds(200), 1), Step::Record(vec![1]));
    }

    #[derive(Clone, Debug)]
    enum Input {
        Holding(Vec<u8>),
        Ask,
        End,
    }

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            4 => vec(0_u8..3, 3).prop_map(Input::Holding),
            1 => Just(Input::Ask),
            2 => Just(Input::End),
        ]
    }

    /// As conditions give it: what did not hold cannot go on.
    fn holding(kinds: &[u8], held: &mut [bool]) -> Vec<Holding> {
        let one = |(kind, held): (&u8, &mut bool)| {
            let was = std::mem::replace(held, *kind > 0);
            match kind {
                0 => Holding::No,
                1 if was => Holding::GoesOn,
                _ => begins(),
            }
        };
        kinds.iter().zip(held).map(one).collect()
    }

    proptest! {
        /// What the machine promises, checked against a log of all that happened.
        #[test]
        fn it_keeps_its_promises(inputs in vec((0_u64..60, input()), 0..200)) {
            let mut machine = Machine::new(3, seconds(COOL_DOWN));
            let (mut now, mut is_recording, mut held) = (0, false, [false; 3]);
            // When a recording for each of them ended, and whether it waits for one.
            let (mut ended, mut reasons, mut waits) = ([None; 3], [false; 3], [false; 3]);
            for (after, input) in inputs {
                now += after;
                match input {
                    Input::Ask => {
                        prop_assert_eq!(machine.ask(), !is_recording);
                        is_recording = true;
                    }
                    Input::End if is_recording => {
                        machine.ended(seconds(now));
                        is_recording = false;
                        for number in 0..3 {
                            if std::mem::take(&mut reasons[number]) {
                                ended[number] = Some(now);
                            }
                        }
                    }
                    Input::End => {}
                    Input::Holding(kinds) => {
                        let holding = holding(&kinds, &mut held);
                        let step = machine.take(seconds(now), &holding);
                        let mut expected = Vec::new();
                        for number in 0..3 {
                            waits[number] = match holding[number] {
                                Holding::No => false,
                                Holding::GoesOn => waits[number],
                                Holding::Begins(_) => true,
                            };
                            let is_cool = ended[number].is_none_or(|ended| now >= ended + COOL_DOWN);
                            if waits[number] && is_cool {
                                (waits[number], reasons[number]) = (false, true);
                                expected.push(number);
                            }
                        }
                        let expected = match (expected.is_empty(), is_recording) {
                            (true, _) => Step::Nothing,
                            (false, true) => Step::Joins(expected),
                            (false, false) => Step::Record(expected),
                        };
                        is_recording |= expected != Step::Nothing;
                        prop_assert_eq!(step, expected);
                    }
                }
                prop_assert_eq!(machine.state(seconds(now)) == State::Recording, is_recording);
            }
        }
    }
}
