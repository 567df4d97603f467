//! Translates the names of rosinality/stylegan2-pytorch, and of the projects that follow it, to StyleGAN2-ADA's.
//!
//! The networks are the same. Weights have additional axes of size 1 (`conv1.conv.weight` is `[1, out, in, 3, 3]`),
//! blocks are numbered instead of named by their resolution, and the resampling filters are called `kernel` and are
//! multiplied by the gain of their layer.

use std::collections::BTreeMap;

use super::place::Part;
use crate::model::arch::block_resolution;

/// The first parts of the names of a generator's tensors.
pub(super) const GENERATOR: [&str; 7] = ["style", "input", "conv1", "to_rgb1", "convs", "to_rgbs", "noises"];
/// The first parts of the names of a discriminator's tensors.
pub(super) const CRITIC: [&str; 3] = ["convs", "final_conv", "final_linear"];

/// How the names of resampling filters end, here and in the files. The filters are compared and dropped.
pub(super) const KERNEL: &str = ".resample_filter";

/// Larger than the number of layers of any network. A larger number in a file is no layer's.
const MOST_LAYERS: usize = 64;

type Parts = BTreeMap<String, Part>;

/// Translates the names of a generator's tensors to StyleGAN2-ADA's. A tensor that no such generator has keeps its name.
pub(super) fn generator<'s>(own: impl Iterator<Item = (&'s str, &'s [usize])>, prefix: &str) -> Parts {
    collected(own, prefix, |name| {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["style", layer, last] => {
                // Layer 0 normalises z.
                let layer = number(layer)?.checked_sub(1)?;
                Some(format!("mapping.fc{layer}.{last}"))
            }
            ["input", "input"] => Some("synthesis.b4.const".into()),
            ["conv1", ref rest @ ..] => Some(format!("synthesis.b4.conv1.{}", layer(rest)?)),
            ["to_rgb1", ref rest @ ..] => Some(format!("synthesis.b4.torgb.{}", layer(rest)?)),
            ["convs", index, ref rest @ ..] => {
                let index = number(index)?;
                let resolution = block_resolution(index / 2 + 1);
                Some(format!("synthesis.b{resolution}.conv{}.{}", index % 2, layer(rest)?))
            }
            ["to_rgbs", index, ref rest @ ..] => {
                let block = format!("synthesis.b{}", block_resolution(number(index)? + 1));
                Some(match layer(rest)? {
                    // This filter enlarges the image of the block before.
                    "resample_filter" => block + KERNEL,
                    last => format!("{block}.torgb.{last}"),
                })
            }
            ["noises", map] => match number(map.strip_prefix("noise_")?)? {
                0 => Some("synthesis.b4.conv1.noise_const".into()),
                index => {
                    let resolution = block_resolution(index.div_ceil(2));
                    Some(format!("synthesis.b{resolution}.conv{}.noise_const", (index + 1) % 2))
                }
            },
            _ => None,
        }
    })
}

/// StyleGAN2-ADA's name for a tensor of a modulated layer.
fn layer(rest: &[&str]) -> Option<&'static str> {
    Some(match rest {
        ["conv", "weight"] => "weight",
        ["conv", "modulation", "weight"] => "affine.weight",
        ["conv", "modulation", "bias"] => "affine.bias",
        ["noise", "weight"] => "noise_strength",
        ["activate", "bias"] | ["bias"] => "bias",
        [.., "kernel"] => "resample_filter",
        _ => return None,
    })
}

/// Translates the names of a discriminator's tensors to StyleGAN2-ADA's, like [`generator`].
pub(super) fn critic<'s>(own: impl Iterator<Item = (&'s str, &'s [usize])>, prefix: &str) -> Parts {
    let own: Vec<_> = own.collect();
    // The first of `convs` is the layer from the image, the others are residual blocks.
    let index = |name: &str| number(name.strip_prefix("convs.")?.split('.').next()?);
    let blocks = own.iter().filter_map(|(name, _)| index(name)).max().unwrap_or(0);
    collected(own.into_iter(), prefix, |name| {
        let parts: Vec<&str> = name.split('.').collect();
        let at = |index: usize| Some(format!("b{}", block_resolution((blocks + 1).checked_sub(index)?)));
        let (place, last) = match parts[..] {
            ["convs", "0", "0", "weight"] => (at(1)? + ".fromrgb", "weight"),
            ["convs", "0", "1", "bias"] => (at(1)? + ".fromrgb", "bias"),
            ["convs", index, part, step, last] => {
                let block = at(number(index).filter(|&index| index > 0)?)?;
                match (part, step, last) {
                    ("conv1", "0", "weight") | ("conv1", "1", "bias") => (block + ".conv0", last),
                    ("conv2", "1", "weight") | ("conv2", "2", "bias") => (block + ".conv1", last),
                    ("skip", "1", "weight") => (block + ".skip", last),
                    ("conv2", "0", "kernel") => (block + ".conv1", &KERNEL[1..]),
                    ("skip", "0", "kernel") => (block + ".skip", &KERNEL[1..]),
                    _ => return None,
                }
            }
            ["final_conv", "0", "weight"] => ("b4.conv".into(), "weight"),
            ["final_conv", "1", "bias"] => ("b4.conv".into(), "bias"),
            ["final_linear", "0", last] => ("b4.fc".into(), last),
            ["final_linear", "1", last] => ("b4.out".into(), last),
            _ => return None,
        };
        Some(format!("{place}.{last}"))
    })
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|&number| number <= MOST_LAYERS)
}

fn collected<'s>(
    own: impl Iterator<Item = (&'s str, &'s [usize])>,
    prefix: &str,
    translated: impl Fn(&str) -> Option<String>,
) -> Parts {
    let part = |(name, shape): (&str, &[usize])| {
        let official = translated(name);
        let shape = official.as_deref().map_or(shape.to_vec(), |official| squeezed(official, shape));
        (official.unwrap_or_else(|| name.into()), Part { name: format!("{prefix}{name}"), shape })
    };
    own.map(part).collect()
}

/// A shape without the axes of size 1 that StyleGAN2-ADA's tensor of this name does not have.
fn squeezed(official: &str, shape: &[usize]) -> Vec<usize> {
    let (place, last) = official.rsplit_once('.').unwrap_or_default();
    let dense = place.ends_with(".affine") || place.starts_with("mapping.") || ["b4.fc", "b4.out"].contains(&place);
    let axes = match last {
        "noise_strength" => 0,
        "bias" => 1,
        "noise_const" | "resample_filter" => 2,
        "const" => 3,
        _ if dense => 2,
        _ => 4,
    };
    let mut shape = shape.to_vec();
    while shape.len() > axes && shape.first() == Some(&1) {
        shape.remove(0);
    }
    while shape.len() > axes && shape.last() == Some(&1) {
        shape.pop();
    }
    shape
}
