//! Progress of long work.

/// A receiver of progress, which may also ask the work to stop.
pub trait Progress {
    /// Begins a stage, with its name, its unit, and the total number of units.
    fn begin(&mut self, what: &str, unit: &str, total: u64);
    /// Reports that `done` units of the stage are complete. `note` is a short text with numbers, such as losses, or
    /// empty.
    fn at(&mut self, done: u64, note: &str);
    /// Ends the stage.
    fn end(&mut self);
    /// True if the work should stop at its next safe point.
    fn stopped(&self) -> bool {
        false
    }
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _what: &str, _unit: &str, _total: u64) {}
    fn at(&mut self, _done: u64, _note: &str) {}
    fn end(&mut self) {}
}
