//! Plain Rust for lengths and addresses that the loops of this folder do not take, with the same layout of rows.

use super::LANES;
use crate::kernel::layout::modulated_index;

/// Gives the same result as [`correlate_pair`](super::correlate_pair).
pub fn correlate_pair(rows: &[&[i16]], weights: &[i8], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    let share = weights.len() / rows.len().max(1);
    for (o, acc) in acc.into_iter().enumerate() {
        for (x, acc) in acc.iter_mut().enumerate() {
            let rows = rows.iter().zip(weights.chunks_exact(share.max(1)));
            *acc = rows
                .map(|(row, weights)| {
                    (0..3).map(|column| at(row, weights, [o, column], width, first + x + column)).sum::<i32>()
                })
                .sum();
        }
    }
}

/// Sum of output `o`'s tap `column` at pixel x over the channels of a row; `weights` are `[pair][3][i][o]`.
fn at(row: &[i16], weights: &[i8], [o, column]: [usize; 2], width: usize, x: usize) -> i32 {
    let channels = weights.len() / 6;
    let weight = |channel: usize| weights.get(12 * (channel / 2) + 4 * column + 2 * (channel % 2) + o);
    let value = |channel| row.get(modulated_index(channels, width, LANES, x, channel));
    (0..channels).filter_map(|channel| Some(i32::from(*weight(channel)?) * i32::from(*value(channel)?))).sum()
}

/// Gives the same result as [`spread_pair`](super::spread_pair).
pub fn spread_pair(sources: &[(&[i16], &[i8])], width: usize, first: usize, acc: [&mut [i32]; 2]) {
    for (o, acc) in acc.into_iter().enumerate() {
        for (column, acc) in (first..).zip(acc) {
            let x = column / 2;
            *acc = sources
                .iter()
                .map(|(row, weights)| match column % 2 {
                    0 => at(row, weights, [o, 0], width, x + 1) + at(row, weights, [o, 2], width, x),
                    _ => at(row, weights, [o, 1], width, x + 1),
                })
                .sum();
        }
    }
}

/// Gives the same result as [`mix`](super::mix).
pub fn mix(row: &[i16], taps: &[i16], acc: &mut [i32]) {
    let width = acc.len();
    for (x, acc) in acc.iter_mut().enumerate() {
        let value = |channel| row.get(modulated_index(taps.len(), width, LANES, x + 1, channel)).copied();
        let values = taps.iter().enumerate().map(|(channel, &w)| (w, value(channel).unwrap_or_default()));
        *acc = values.map(|(w, x)| i32::from(w) * i32::from(x)).sum();
    }
}

/// Modulates a channel's pixels into every eighth place of `out`.
pub fn modulate_channel(row: &[i16], style: i16, shift: u8, out: &mut [i16]) {
    for (to, &value) in out.iter_mut().step_by(LANES).zip(row) {
        *to = ((i32::from(value) * i32::from(style) + ((1 << shift) >> 1)) >> shift) as i16;
    }
}
