//! Measures single 3x3 layers with i8 weights and i16 activations, including requantisation, bias and leaky ReLU,
//! without modulation.

use core::fmt::Write;

use nickeldime_core::kernel::layout::conv_len;
use nickeldime_core::kernel::selected::ACCUMULATORS;
use nickeldime_core::kernel::{Activation, Work, conv3x3_row, modulated_len, padded};

use crate::machine::{self, Carve, Out, Random, now, since};

/// The shapes, `[inputs, outputs, size]`.
const SHAPES: [[usize; 3]; 5] = [[26, 26, 16], [16, 16, 16], [64, 64, 8], [8, 8, 32], [7, 7, 64]];

/// Prints `inputs outputs size ticks` for every shape.
pub fn run() -> Option<()> {
    // SAFETY: this is the only call in this job.
    let workspace = unsafe { machine::workspace() };
    for [inputs, outputs, size] in SHAPES {
        let mut carve = Carve::new(workspace);
        let mut random = Random::new(inputs as u32);
        let row = modulated_len(inputs, size);
        let (rows, weights) = (carve.halves(size * row)?, carve.bytes(conv_len(inputs, outputs))?);
        rows.fill_with(|| random.signed(20000) as i16);
        weights.fill_with(|| random.signed(127) as i8);
        let (requants, biases) = (carve.words(2 * outputs)?, carve.words(outputs)?);
        requants.fill_with(|| 1 << 30);
        // Shifts of 38: from 30 bits to 24 and the output's 8 fractional ones.
        requants.iter_mut().skip(1).step_by(2).for_each(|shift| *shift = 38);
        biases.fill_with(|| random.signed(1 << 16));
        let (taps, acc, noise) =
            (carve.halves(9 * padded(inputs))?, carve.words(ACCUMULATORS * size)?, carve.words(size)?);
        noise.fill(0);
        let out = carve.halves(outputs * size)?;
        let (pairs, _) = requants.as_chunks::<2>();
        let finish = Activation { requants: pairs, biases, noise, limit: 32767 };
        let mut work = Work { taps, acc };
        let started = now();
        for y in 0..size {
            let at = |y: usize| rows.get(y * row..(y + 1) * row);
            let window = [y.checked_sub(1).and_then(at), at(y), at(y + 1)];
            conv3x3_row(window, size, inputs, weights, finish, &mut work, out);
        }
        writeln!(Out, "{inputs} {outputs} {size} {}", since(started)).ok()?;
    }
    Some(())
}
