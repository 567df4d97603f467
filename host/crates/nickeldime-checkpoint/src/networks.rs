//! Networks in files of named tensors: `torch.save`'s state dicts and safetensors.
//!
//! Two families of names are known: StyleGAN2-ADA's own, and those of rosinality/stylegan2-pytorch and the many projects
//! that follow it ([`rosinality`]). A file may hold several networks, each with a prefix to its names (`g_ema.`, `D.`,
//! or empty), and other data, which is ignored.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use super::error::{CheckpointError, printable};
use super::mean::{LATENTS, mean_of_w};
use super::model::weights::{
    Checkpoint, DiscriminatorWeights, GeneratorWeights, OTHER_FILTER, Remark, Tensors, is_the_filter,
};
use super::place::{Part, STYLEGAN3, placed};
use super::rosinality;
use crate::model::arch::{ArchError, DeviationGroup, DiscriminatorArch, GeneratorArch, Shapes};

/// A file of named tensors whose numbers are read one tensor at a time.
pub(super) trait TensorSource {
    /// The file's name, for errors.
    fn path(&self) -> &Path;

    /// The shapes of all tensors, by their names in the file.
    fn shapes(&self) -> Shapes;

    /// The numbers of one tensor.
    fn tensor(&mut self, name: &str) -> Result<ArrayD<f32>, CheckpointError>;
}

/// Reads the tensors that `choose` selects; see [`super::read_chosen`].
pub(super) fn chosen(
    source: &mut impl TensorSource,
    choose: impl FnOnce(&Shapes) -> Result<TensorSelection, ArchError>,
) -> Result<Tensors, CheckpointError> {
    let choice = choose(&source.shapes()).map_err(|e| placed(source.path(), "", e))?;
    choice.into_iter().map(|(own, name)| Ok((own, source.tensor(&name)?))).collect()
}

/// Tensors to read: the reader's own name of each, and its name in the file.
pub type TensorSelection = BTreeMap<String, String>;

/// Settings that tensors do not show.
pub(super) struct Hints {
    /// The limit of the generator's activations; `None` means no limit.
    pub conv_clamp: Option<f32>,
    /// The limit of the discriminator's activations; `None` means no limit.
    pub critic_clamp: Option<f32>,
    /// The group of the discriminator's minibatch standard deviation.
    pub mbstd_group: DeviationGroup,
}

impl Default for Hints {
    /// No limits, and groups of 4: rosinality's networks, and the defaults of StyleGAN2-ADA's classes.
    fn default() -> Self {
        Self { conv_clamp: None, critic_clamp: None, mbstd_group: DeviationGroup::Samples(4) }
    }
}

/// Reads the generator of a file and, if there is one that can be read, its discriminator.
pub(super) fn read(source: &mut impl TensorSource, hints: &Hints) -> Result<Checkpoint, CheckpointError> {
    let shapes = source.shapes();
    let found = generator_of(&shapes).map_err(|problem| CheckpointError::format(source.path(), problem))?;
    let mut remarks = Vec::new();
    let generator = generator(source, &shapes, &found, hints, &mut remarks)?;
    let mut checkpoint = Checkpoint { generator, discriminator: None, remarks };
    match critic_of(&shapes) {
        Ok(None) => {}
        Ok(Some(found)) => {
            let name = found.prefix.trim_end_matches('.').to_owned();
            checkpoint.take_critic(&name, critic(source, &shapes, &found, hints))?;
        }
        Err((name, reason)) => checkpoint.remarks.push(Remark::CriticNotRead { name, reason }),
    }
    Ok(checkpoint)
}

/// The family of a network's tensor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    StyleGan2Ada,
    Rosinality,
}

/// A network that was found in a file.
struct Network {
    /// The prefix of all its tensors' names: empty, or ending in a dot.
    prefix: String,
    names: Names,
}

impl Network {
    /// The last part of the prefix, which is the network's name in its file.
    fn called(&self) -> &str {
        self.prefix.trim_end_matches('.').rsplit('.').next().unwrap_or_default()
    }
}

/// Every network that has a tensor named by one of `marks` and, below the same prefix, the second tensor of that mark.
fn networks(shapes: &Shapes, marks: [(&str, &str, Names); 2]) -> Vec<Network> {
    let found = shapes.keys().flat_map(|name| {
        marks.iter().filter_map(move |&(mark, beside, names)| {
            let prefix = name.strip_suffix(mark)?;
            let whole = prefix.is_empty() || prefix.ends_with('.');
            (whole && shapes.contains_key(&format!("{prefix}{beside}")))
                .then(|| Network { prefix: prefix.into(), names })
        })
    });
    found.collect()
}

/// Chooses the generator to read: the one named as a moving average, or the only one.
fn generator_of(shapes: &Shapes) -> Result<Network, String> {
    let mut found = networks(
        shapes,
        [
            ("synthesis.b4.const", "synthesis.b4.conv1.weight", Names::StyleGan2Ada),
            ("input.input", "conv1.conv.weight", Names::Rosinality),
        ],
    );
    let is_average = |network: &Network| network.called().to_ascii_lowercase().contains("ema");
    if found.iter().any(is_average) {
        found.retain(is_average);
    }
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|network| printable(network.prefix.as_bytes())).collect();
        return Err(format!("several generators, below {}: keep one in the file", names.join(" and ")));
    }
    found.pop().ok_or_else(|| match shapes.keys().any(|name| name.contains("synthesis.input.")) {
        true => STYLEGAN3.into(),
        false => "a file of tensors without a StyleGAN2 generator: expected a state dict with StyleGAN2-ADA's names \
                  (G_ema.synthesis.b4.const, ...) or rosinality's (g_ema.input.input, ...)"
            .into(),
    })
}

/// Chooses the discriminator to read. The error is its name and the reason.
fn critic_of(shapes: &Shapes) -> Result<Option<Network>, (String, String)> {
    let mut found = networks(
        shapes,
        [
            ("b4.out.weight", "b4.conv.weight", Names::StyleGan2Ada),
            ("final_linear.1.weight", "final_conv.0.weight", Names::Rosinality),
        ],
    );
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|network| printable(network.prefix.as_bytes())).collect();
        found.retain(|network| ["d", "discriminator"].contains(&&network.called().to_ascii_lowercase()[..]));
        if found.len() != 1 {
            return Err((names.join(" and "), "several discriminators: keep one in the file".into()));
        }
    }
    Ok(found.pop())
}

/// A network's tensors, by StyleGAN2-ADA's names without a prefix.
type Parts = BTreeMap<String, Part>;

fn generator(
    source: &mut impl TensorSource,
    shapes: &Shapes,
    network: &Network,
    hints: &Hints,
    remarks: &mut Vec<Remark>,
) -> Result<GeneratorWeights, CheckpointError> {
    const MEAN: &str = "mapping.w_avg";
    let own = own(shapes, network, |first| match network.names {
        Names::StyleGan2Ada => ["synthesis", "mapping"].contains(&first),
        Names::Rosinality => rosinality::GENERATOR.contains(&first),
    });
    let mut parts = match network.names {
        Names::StyleGan2Ada => as_they_are(own, &network.prefix),
        Names::Rosinality => rosinality::generator(own, &network.prefix),
    };
    let width = parts.get("mapping.fc0.weight").and_then(|part| part.shape.first().copied());
    if let (false, Some(width)) = (parts.contains_key(MEAN), width)
        && let Some(name) = mean_in(shapes, width)
    {
        parts.insert(MEAN.into(), Part { name, shape: vec![width] });
    }

    let mut wanted: Shapes = parts.iter().map(|(own, part)| (own.clone(), part.shape.clone())).collect();
    let noise: Vec<(String, usize)> = match wanted.keys().any(|own| own.ends_with(".noise_const")) {
        true => Vec::new(),
        false => wanted.keys().filter_map(|own| noise_beside(own)).collect(),
    };
    wanted.extend(noise.iter().map(|(name, size)| (name.clone(), vec![*size; 2])));
    let measured = !wanted.contains_key(MEAN);
    if let (true, Some(width)) = (measured, width) {
        wanted.insert(MEAN.into(), vec![width]);
    }
    let arch = GeneratorArch::from_shapes(&wanted);
    let path = source.path().to_owned();
    let wrong = |error| named(&path, &network.prefix, &parts, error);
    let arch = arch.map_err(wrong)?;

    let mut tensors = numbers(source, &parts)?;
    if !noise.is_empty() {
        remarks.push(Remark::WithoutNoise);
        tensors.extend(noise.into_iter().map(|(name, size)| (name, ArrayD::zeros(IxDyn(&[size; 2])))));
    }
    if measured {
        remarks.push(Remark::MeasuredMean(LATENTS));
        tensors.insert(MEAN.into(), mean_of_w(&arch, &tensors));
    }
    GeneratorWeights::from_tensors(tensors, hints.conv_clamp).map_err(wrong)
}

fn critic(
    source: &mut impl TensorSource,
    shapes: &Shapes,
    network: &Network,
    hints: &Hints,
) -> Result<DiscriminatorWeights, CheckpointError> {
    let own = own(shapes, network, |first| match network.names {
        Names::StyleGan2Ada => {
            first == "mapping" || first.strip_prefix('b').is_some_and(|size| size.parse::<u16>().is_ok())
        }
        Names::Rosinality => rosinality::CRITIC.contains(&first),
    });
    let parts = match network.names {
        Names::StyleGan2Ada => as_they_are(own, &network.prefix),
        Names::Rosinality => rosinality::critic(own, &network.prefix),
    };
    let path = source.path().to_owned();
    let wrong = |error| named(&path, &network.prefix, &parts, error);
    let wanted = parts.iter().map(|(own, part)| (own.clone(), part.shape.clone())).collect();
    DiscriminatorArch::from_shapes(&wanted).map_err(wrong)?;
    let tensors = numbers(source, &parts)?;
    DiscriminatorWeights::from_tensors(tensors, hints.mbstd_group, hints.critic_clamp).map_err(wrong)
}

/// The tensors below a network's prefix, without the prefix. If the prefix is empty, other data may lie beside the
/// network's tensors; `belongs` tells them apart by the first part of their names.
fn own<'s>(
    shapes: &'s Shapes,
    network: &Network,
    belongs: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'s str, &'s [usize])> {
    let below = shapes.iter().filter_map(|(name, shape)| Some((name.strip_prefix(&network.prefix)?, &shape[..])));
    below.filter(move |(name, _)| match network.prefix.is_empty() {
        true => belongs(name.split('.').next().unwrap_or_default()),
        false => *name != MEAN_OUTSIDE,
    })
}

/// Keeps the names, because StyleGAN2-ADA's names are also this crate's.
fn as_they_are<'s>(own: impl Iterator<Item = (&'s str, &'s [usize])>, prefix: &str) -> Parts {
    own.map(|(name, shape)| (name.into(), Part { name: format!("{prefix}{name}"), shape: shape.into() })).collect()
}

/// Name in rosinality's files for the mean of w, which lies beside the networks.
const MEAN_OUTSIDE: &str = "latent_avg";

/// Name in the file of the mean of w, for a generator whose w has this width.
fn mean_in(shapes: &Shapes, width: usize) -> Option<String> {
    let fits = |(name, shape): &(&String, &Vec<usize>)| {
        let own = *name == MEAN_OUTSIDE || name.ends_with(".latent_avg");
        own && shape.iter().filter(|&&size| size != 1).eq([&width].into_iter().filter(|&&size| size != 1))
    };
    shapes.iter().filter(fits).map(|(name, _)| name.clone()).min_by_key(String::len)
}

/// Name and size of the noise map that belongs to a layer's strength: 8x8 for `synthesis.b8.conv0.noise_strength`.
fn noise_beside(strength: &str) -> Option<(String, usize)> {
    let layer = strength.strip_suffix(".noise_strength")?;
    let size = layer.split('.').find_map(|part| part.strip_prefix('b')?.parse().ok())?;
    (4..=1 << 12).contains(&size).then(|| (format!("{layer}.noise_const"), size))
}

/// Reads the numbers of every tensor, by this crate's names.
fn numbers(source: &mut impl TensorSource, parts: &Parts) -> Result<Tensors, CheckpointError> {
    let mut tensors = Tensors::new();
    for (own, part) in parts {
        let array = source.tensor(&part.name)?;
        let wrong = |problem: String| CheckpointError::network(source.path(), printable(part.name.as_bytes()), problem);
        if own.ends_with(rosinality::KERNEL) {
            // The filter in the file may be multiplied by the gain of its layer.
            let sum = array.sum();
            if !is_the_filter(&(array / sum)) {
                return Err(wrong(OTHER_FILTER.into()));
            }
            continue;
        }
        let array = array.into_shape_with_order(IxDyn(&part.shape)).map_err(|e| wrong(e.to_string()))?;
        tensors.insert(own.clone(), array);
    }
    Ok(tensors)
}

/// Turns an architecture error into one that gives the tensor's name in the file.
fn named(path: &Path, prefix: &str, parts: &Parts, error: ArchError) -> CheckpointError {
    match parts.get(&error.place) {
        Some(part) => CheckpointError::network(path, printable(part.name.as_bytes()), error.problem),
        None => placed(path, prefix, error),
    }
}
