//! Simulated line errors: bytes that are lost, changed, repeated or late, a line that is cut, and a board that is reset.
//!
//! [`Faults`] says how often each occurs. [`Faulty`] applies them byte by byte, reproducibly for a seed. A
//! [simulated line](super::simulated) and a [faulty port](super::faulty_port) use it.

use nickeldime_checkpoint::random::Stream;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The errors of a line. Each of the five probabilities is per byte.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Probability that a byte is lost.
    pub drop: f64,
    /// Probability that one bit of a byte is flipped.
    pub flip: f64,
    /// Probability that a byte arrives twice.
    pub dup: f64,
    /// Probability that a byte and all bytes after it are late, by milliseconds, or one time in a hundred by up to a
    /// second.
    pub stall: f64,
    /// Probability that the board is reset.
    pub reset: f64,
    /// Number of bytes after which the line is cut, counting both directions; `None` for never.
    pub cut_at: Option<u64>,
    /// Seed of the random choices.
    pub seed: u64,
}

impl Faults {
    /// A line without errors.
    pub const NONE: Self = Self { drop: 0.0, flip: 0.0, dup: 0.0, stall: 0.0, reset: 0.0, cut_at: None, seed: 0 };
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, chance) in
            [("drop", self.drop), ("flip", self.flip), ("dup", self.dup), ("stall", self.stall), ("reset", self.reset)]
        {
            if chance > 0.0 {
                write!(f, "{name}={chance},")?;
            }
        }
        if let Some(bytes) = self.cut_at {
            write!(f, "cut-at={bytes},")?;
        }
        write!(f, "seed={}", self.seed)
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Self::NONE;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is no NAME=NUMBER"))?;
            let count = || value.parse::<u64>().map_err(|_| format!("{name}: {value:?} is no whole number"));
            let place = match name.trim() {
                "drop" => &mut faults.drop,
                "flip" => &mut faults.flip,
                "dup" => &mut faults.dup,
                "stall" => &mut faults.stall,
                "reset" => &mut faults.reset,
                "cut-at" => {
                    faults.cut_at = Some(count()?);
                    continue;
                }
                "seed" => {
                    faults.seed = count()?;
                    continue;
                }
                other => {
                    return Err(format!(
                        "no fault is called {other:?}; there are: drop, flip, dup, stall, reset, cut-at, seed"
                    ));
                }
            };
            let chance = value.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
            *place = chance.ok_or_else(|| format!("{name}: {value:?} is no chance between 0 and 1"))?;
        }
        Ok(faults)
    }
}

/// The fate of a byte on the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// The byte as it arrives.
    pub byte: u8,
    /// How many times it arrives: 0, 1 or 2.
    pub times: usize,
    /// Delay of the byte and of all bytes after it.
    pub late: Duration,
    /// True if the board is reset when the byte arrives.
    pub reset: bool,
}

/// A line with [`Faults`]. Both directions share it: what happens to a byte depends on the bytes that passed before it
/// in either direction.
#[derive(Clone, Debug)]
pub struct Faulty {
    faults: Faults,
    random: Stream,
    passed: u64,
}

impl Faulty {
    /// A line that no byte has passed yet.
    pub fn new(faults: Faults) -> Self {
        Self { faults, random: Stream::new(faults.seed, "faults", 0), passed: 0 }
    }

    /// Number of bytes that have passed.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Passes a byte over the line; `None` if the line is cut.
    pub fn pass(&mut self, byte: u8) -> Option<Passed> {
        if self.is_cut() {
            return None;
        }
        self.passed += 1;
        let mut passed = Passed { byte, times: 1, late: Duration::ZERO, reset: false };
        let Faults { drop, flip, dup, stall, reset, .. } = self.faults;
        let any = drop + flip + dup + stall + reset;
        // One random number decides for each byte, so at most one of the five errors happens to it.
        let mut chance = if any > 0.0 { self.random.uniform() } else { 1.0 };
        let mut happens = |likelihood: f64| {
            let this = (0.0..likelihood).contains(&chance);
            chance -= likelihood;
            this
        };
        if happens(drop) {
            passed.times = 0;
        } else if happens(flip) {
            passed.byte ^= 1 << self.random.below(8);
        } else if happens(dup) {
            passed.times = 2;
        } else if happens(stall) {
            let most = if self.random.below(100) == 0 { 1_000_000 } else { 4_000 };
            passed.late = Duration::from_micros(self.random.below(most) as u64);
        } else if happens(reset) {
            passed.reset = true;
        }
        Some(passed)
    }

    /// True if the line is cut.
    pub fn is_cut(&self) -> bool {
        self.faults.cut_at.is_some_and(|bytes| self.passed >= bytes)
    }

    /// Repairs a cut line for good.
    pub fn mend(&mut self) {
        self.faults.cut_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let text = "drop=0.001,flip=0.0001,dup=0.002,stall=0.01,reset=0.00001,cut-at=20000,seed=7";
        let faults: Faults = text.parse().expect("good");
        assert_eq!(faults.to_string(), text);
        assert_eq!(faults.to_string().parse(), Ok(faults));
        assert_eq!("seed=3".parse(), Ok(Faults { seed: 3, ..Faults::NONE }));
        for wrong in ["drop", "drop=2", "drop=-1", "drop=x", "seed=-1", "cut-at=1.5", "melt=1", "drop=nan"] {
            assert!(wrong.parse::<Faults>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_happen_as_often_as_they_are_asked_for_and_alike_every_time() {
        let faults = "drop=0.01,flip=0.02,dup=0.03,stall=0.04,reset=0.001,seed=5".parse().expect("good");
        let run = || {
            let mut line = Faulty::new(faults);
            (0..200_000).map(|i| line.pass(i as u8).expect("not cut")).collect::<Vec<_>>()
        };
        let passed = run();
        assert!(passed == run());
        let near =
            |chance: f64, count: usize| (count as f64 / 200_000.0 / chance - 1.0).abs() < 0.1 + 0.1 * (0.01 / chance);
        assert!(near(0.01, passed.iter().filter(|passed| passed.times == 0).count()));
        assert!(near(0.02, passed.iter().zip(0..).filter(|(passed, i): &(_, i32)| passed.byte != *i as u8).count()));
        assert!(near(0.03, passed.iter().filter(|passed| passed.times == 2).count()));
        assert!(near(0.04, passed.iter().filter(|passed| !passed.late.is_zero()).count()));
        assert!(near(0.001, passed.iter().filter(|passed| passed.reset).count()));
    }

    #[test]
    fn a_cut_line_passes_nothing_until_it_is_mended() {
        let mut line = Faulty::new(Faults { cut_at: Some(3), ..Faults::NONE });
        assert_eq!((0..5).filter_map(|i| line.pass(i)).count(), 3);
        assert!(line.is_cut());
        line.mend();
        assert!(line.pass(1).is_some());
    }
}
