//! Decodes batches of images ahead of their use, on separate threads.

use std::{
    ops::Range,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use ndarray::Array4;

use super::{DataError, Dataset};

/// The largest number of decoding threads.
const THREADS: usize = 4;
/// The number of decoded batches that each thread keeps ready.
const READY: usize = 1;

/// The images of one batch, see [`Dataset::batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The indices of the images in the dataset.
    pub indices: Vec<usize>,
    /// For each image true if it is mirrored.
    pub flips: Vec<bool>,
}

/// Passes the batches of `steps` to `consume` in their order while other threads decode the next ones. The batches do
/// not depend on the number of threads.
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

/// Receives batches from the threads in turn. Dropping it ends the threads.
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
