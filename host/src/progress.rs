//! How long work tells that it goes on.

/// Is told of the stages of long work, and may ask it to stop.
pub trait Progress {
    /// A stage begins: what it does, in how many of which unit.
    fn begin(&mut self, what: &str, unit: &str, total: u64);
    /// So much of the stage is done; `note` is a short line of numbers (losses), or empty.
    fn at(&mut self, done: u64, note: &str);
    /// The stage is over.
    fn end(&mut self);
    /// Whether the user wants the work to stop at the next safe point.
    fn stopped(&self) -> bool {
        false
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _what: &str, _unit: &str, _total: u64) {}
    fn at(&mut self, _done: u64, _note: &str) {}
    fn end(&mut self) {}
}
