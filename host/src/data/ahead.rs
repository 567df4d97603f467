//! Batches decoded ahead of their use, on threads of their own.

use std::{
    ops::Range,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use ndarray::Array4;

use super::{DataError, Dataset};

/// The most threads that decode.
const THREADS: usize = 4;
/// Batches that each of them has ready, beside the one that it works on.
const READY: usize = 1;

/// Images of a dataset, see [`Dataset::batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Their places.
    pub indices: Vec<usize>,
    /// Which are mirrored.
    pub flips: Vec<bool>,
}

/// Gives `consume` the batches of `steps` in their order, while other threads decode the next ones. What they are does not
/// depend on how many threads there are.
pub fn ahead<T>(
    data: &Dataset,
    plan: impl Fn(u64) -> Batch + Sync,
    steps: Range<u64>,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<Array4<f32>, DataError>>) -> T,
) -> T {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let plan = &plan;
    thread::scope(|scope| {
        let lane = |lane: usize| {
            let (ready, wanted) = sync_channel(READY);
            let own = steps.clone().skip(lane).step_by(threads);
            scope.spawn(move || {
                for step in own {
                    let Batch { indices, flips } = plan(step);
                    if ready.send(data.batch(&indices, &flips)).is_err() {
                        // Nobody wants more.
                        return;
                    }
                }
            });
            wanted
        };
        consume(&mut Lanes { lanes: (0..threads).map(lane).collect(), next: 0 })
    })
}

/// Takes from the threads in turn. Dropped, it sends them home.
struct Lanes<T> {
    lanes: Vec<Receiver<T>>,
    next: usize,
}

impl<T> Iterator for Lanes<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let lane = self.lanes.get(self.next)?;
        self.next = (self.next + 1) % self.lanes.len();
        lane.recv().ok()
    }
}
