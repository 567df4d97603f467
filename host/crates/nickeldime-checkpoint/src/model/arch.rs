//! The architectures of StyleGAN2 generators and discriminators: sizes, without weights.
//!
//! The list of a network's tensors is written once, in this file. Reading and writing checkpoints of any format and
//! counting costs all use it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The largest number of channels or features that a network may have.
const LARGEST: usize = 1 << 20;

/// The resolutions that a network may have: the powers of two in this range.
pub const RESOLUTIONS: std::ops::RangeInclusive<usize> = 8..=1024;

/// `img_channels` of a network of colour images.
pub const RGB: usize = 3;
/// `img_channels` of a network of grey images.
pub const GREY: usize = 1;

/// The number of image channels of a record that does not say it.
fn rgb() -> usize {
    RGB
}

/// Tensor names and the shapes found under them.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The shape of a skip-architecture, unconditional generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratorArch {
    /// Width of the latent z.
    pub z_dim: usize,
    /// Width of the intermediate latent w.
    pub w_dim: usize,
    /// Number of fully connected layers of the mapping network.
    pub mapping_layers: usize,
    /// Channels of the synthesis blocks b4, b8, ... up to the output resolution.
    pub channels: Vec<usize>,
    /// Channels of the image: [`RGB`] or [`GREY`].
    #[serde(default = "rgb")]
    pub img_channels: usize,
    /// The limit c: activations are clamped to `[-c, c]` after every layer. `None` means no limit.
    pub conv_clamp: Option<f32>,
}

/// The shape of an unconditional discriminator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscriminatorArch {
    /// Channels at 4, 8, ... up to the input resolution.
    pub channels: Vec<usize>,
    /// Channels of the image: [`RGB`] or [`GREY`].
    #[serde(default = "rgb")]
    pub img_channels: usize,
    /// The way in which the blocks are joined.
    #[serde(default)]
    pub architecture: CriticArchitecture,
    /// The samples that share one minibatch standard deviation.
    pub mbstd_group: DeviationGroup,
    /// The limit c: activations are clamped to `[-c, c]` after every layer. `None` means no limit.
    pub conv_clamp: Option<f32>,
}

/// The way in which the blocks of a discriminator are joined: StyleGAN2-ADA's `architecture`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CriticArchitecture {
    /// Every block feeds the next one, and only the first sees the image.
    Orig,
    /// Every block, including the one at 4x4, also sees the image at its own resolution through its own fromRGB layer.
    Skip,
    /// Every block adds a filtered 1x1 convolution of its input to its output.
    #[default]
    Resnet,
}

impl CriticArchitecture {
    /// The name in StyleGAN2-ADA's files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orig => "orig",
            Self::Skip => "skip",
            Self::Resnet => "resnet",
        }
    }
}

/// The samples of a batch that share one minibatch standard deviation: StyleGAN2-ADA's `mbstd_group_size`.
///
/// Text and files have the number of samples, `batch` or `absent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenGroup", into = "WrittenGroup")]
pub enum DeviationGroup {
    /// The network has no such layer (`mbstd_num_channels` 0).
    Absent,
    /// The whole batch is one group (`mbstd_group_size` None).
    Batch,
    /// A group has this many samples, and fewer in a smaller batch.
    Samples(usize),
}

impl DeviationGroup {
    /// The largest group that a file may ask for.
    const LARGEST: usize = 1 << 16;

    /// The number that the size of a batch must be a multiple of, or below.
    pub fn divisor(self) -> usize {
        match self {
            Self::Absent | Self::Batch => 1,
            Self::Samples(samples) => samples,
        }
    }

    /// Channels that the layer adds: 1, or 0 if the network has no such layer.
    pub fn channels(self) -> usize {
        usize::from(self != Self::Absent)
    }

    /// A group of this many samples.
    ///
    /// # Errors
    /// No samples, or more than any batch has.
    pub fn of(samples: usize) -> Result<Self, ArchError> {
        match samples {
            1..=Self::LARGEST => Ok(Self::Samples(samples)),
            _ => Err(ArchError::new("mbstd_group_size", format!("{samples}: expected a number of samples"))),
        }
    }
}

impl std::fmt::Display for DeviationGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Batch => f.write_str("batch"),
            Self::Samples(samples) => write!(f, "{samples}"),
        }
    }
}

impl std::str::FromStr for DeviationGroup {
    type Err = ArchError;

    fn from_str(text: &str) -> Result<Self, ArchError> {
        match text {
            "absent" => Ok(Self::Absent),
            "batch" => Ok(Self::Batch),
            _ => Self::of(text.parse().unwrap_or(0)),
        }
    }
}

/// A [`DeviationGroup`] as a run's record writes it: a number or a word.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenGroup {
    Samples(usize),
    Word(String),
}

impl From<DeviationGroup> for WrittenGroup {
    fn from(group: DeviationGroup) -> Self {
        match group {
            DeviationGroup::Samples(samples) => Self::Samples(samples),
            other => Self::Word(other.to_string()),
        }
    }
}

impl TryFrom<WrittenGroup> for DeviationGroup {
    type Error = ArchError;

    fn try_from(written: WrittenGroup) -> Result<Self, ArchError> {
        match written {
            WrittenGroup::Samples(samples) => Self::of(samples),
            WrittenGroup::Word(word) => word.parse(),
        }
    }
}

/// The tensors or sizes do not describe a network that is supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ArchError {
    /// The name of the tensor or setting.
    pub place: String,
    /// A description of the problem and of what would be right.
    pub problem: String,
}

impl ArchError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// Checks that there are channels for the resolutions from 4 up to one of [`RESOLUTIONS`], and that all sizes are
/// between 1 and [`LARGEST`].
fn check_sizes(channels: &[usize], widths: &[(&str, usize)]) -> Result<(), ArchError> {
    let wrong = |place: &str, problem| Err(ArchError::new(place, problem));
    if !(2..=9).contains(&channels.len()) {
        return wrong(
            "channels",
            format!("{} resolutions; 4x4 to between 8x8 and 1024x1024 are 2 to 9", channels.len()),
        );
    }
    let channels = channels.iter().map(|&c| ("channels", c));
    match channels.chain(widths.iter().copied()).find(|(_, size)| !(1..=LARGEST).contains(size)) {
        Some((name, size)) => wrong(name, format!("{size}: must be between 1 and {LARGEST}")),
        None => Ok(()),
    }
}

/// The resolution of block `index`: 4, 8, 16, ...
pub fn block_resolution(index: usize) -> usize {
    4 << index
}

impl GeneratorArch {
    /// Checks that networks of these sizes are supported.
    ///
    /// # Errors
    /// A size is out of its range; the error names it.
    pub fn check(&self) -> Result<(), ArchError> {
        let widths = [("z_dim", self.z_dim), ("w_dim", self.w_dim), ("mapping layers", self.mapping_layers)];
        check_sizes(&self.channels, &widths)?;
        check_colours("img_channels", self.img_channels)
    }

    /// The names that [`GeneratorArch::preset`] knows.
    pub const PRESETS: [&str; 6] = ["paper256", "paper512", "paper1024", "stylegan2", "stylegan2-256", "digits32"];

    /// A well-known shape: StyleGAN2-ADA's training configurations `paper256` (half the channels above 32x32),
    /// `paper512`, `paper1024` and `stylegan2` (1024x1024); `stylegan2-256`, the full channel table at
    /// 256x256; and `digits32`, this project's fixture.
    pub fn preset(name: &str) -> Option<Self> {
        let official = |resolution, base| Self {
            z_dim: 512,
            w_dim: 512,
            mapping_layers: 8,
            channels: channel_table(resolution, base, 512),
            img_channels: RGB,
            conv_clamp: Some(256.0),
        };
        Some(match name {
            "paper256" => official(256, 16384),
            "paper512" => official(512, 32768),
            "paper1024" | "stylegan2" => official(1024, 32768),
            "stylegan2-256" => official(256, 32768),
            "digits32" => Self {
                z_dim: 64,
                w_dim: 64,
                mapping_layers: 4,
                channels: channel_table(32, 1024, 64),
                img_channels: RGB,
                conv_clamp: None,
            },
            _ => return None,
        })
    }

    /// The height and width of the image.
    pub fn resolution(&self) -> usize {
        block_resolution(self.channels.len() - 1)
    }

    /// The number of entries of `ws`: one for each 3x3 convolution and one for the last toRGB.
    pub fn num_ws(&self) -> usize {
        2 * self.channels.len()
    }

    /// The student's shape at pruning ratio `ratio`: `C - floor(C * ratio)` channels at every resolution, the
    /// product taken in double precision. Mapping network and latent widths stay (`docs/method.md`, sections 1 and 2).
    ///
    /// # Errors
    /// The ratio is outside `0.0..1.0`.
    pub fn pruned(&self, ratio: f64) -> Result<Self, ArchError> {
        if !(0.0..1.0).contains(&ratio) {
            let problem = format!("{ratio} is outside 0..1: the share of channels to remove");
            return Err(ArchError::new("pruning ratio", problem));
        }
        let keep = |&c: &usize| (c - ((c as f64 * ratio) as usize).min(c)).max(1);
        Ok(Self { channels: self.channels.iter().map(keep).collect(), ..self.clone() })
    }

    /// Every parameter and buffer with its shape, in the order of the official state dict, without the constant
    /// `resample_filter` buffers (see [`GeneratorArch::filter_names`]). `noise_strength` has shape `[]`.
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        for (i, &c) in self.channels.iter().enumerate() {
            let resolution = block_resolution(i);
            let block = format!("synthesis.b{resolution}");
            let before = if i == 0 { c } else { self.channels[i - 1] };
            if i == 0 {
                list.add(&block, "const", &[c, 4, 4]);
            } else {
                self.layer(&mut list, &format!("{block}.conv0"), before, c, resolution);
            }
            self.layer(&mut list, &format!("{block}.conv1"), c, c, resolution);
            let torgb = format!("{block}.torgb");
            list.add(&torgb, "weight", &[self.img_channels, c, 1, 1]);
            list.add(&torgb, "bias", &[self.img_channels]);
            list.affine(&torgb, self.w_dim, c);
        }
        list.add("mapping", "w_avg", &[self.w_dim]);
        for i in 0..self.mapping_layers {
            let width = if i == 0 { self.z_dim } else { self.w_dim };
            let fc = format!("mapping.fc{i}");
            list.add(&fc, "weight", &[self.w_dim, width]);
            list.add(&fc, "bias", &[self.w_dim]);
        }
        list.0
    }

    fn layer(&self, list: &mut List, name: &str, cin: usize, cout: usize, resolution: usize) {
        list.add(name, "weight", &[cout, cin, 3, 3]);
        list.add(name, "noise_strength", &[]);
        list.add(name, "bias", &[cout]);
        list.add(name, "noise_const", &[resolution, resolution]);
        list.affine(name, self.w_dim, cin);
    }

    /// The names under which official files carry the FIR filter `outer([1, 3, 3, 1]) / 64` as a `[4, 4]` buffer.
    pub fn filter_names(&self) -> Vec<String> {
        let blocks = (0..self.channels.len()).flat_map(|i| {
            let block = format!("synthesis.b{}", block_resolution(i));
            let first = if i == 0 { "conv1" } else { "conv0" };
            let mut names = vec![block.clone(), format!("{block}.{first}")];
            if i > 0 {
                names.push(format!("{block}.conv1"));
            }
            names
        });
        blocks.map(|name| name + FILTER).collect()
    }

    /// The shape of the generator that has these tensors. `conv_clamp` is `None`, because tensors do not show it.
    /// `resample_filter` buffers may be there or not.
    ///
    /// # Errors
    /// A tensor that is missing, not expected or of another shape; a resolution outside [`RESOLUTIONS`]; a
    /// conditional generator or one whose images are neither RGB nor grey.
    pub fn from_shapes(shapes: &Shapes) -> Result<Self, ArchError> {
        refuse_conditional(shapes, "mapping.embed.")?;
        let img_channels = colours(shapes, "synthesis.b4.torgb.weight", 0)?;
        let channels = blocks(shapes, |r| format!("synthesis.b{r}.conv1.weight"))?;
        let mut mapping_layers = 0;
        while shapes.contains_key(&format!("mapping.fc{mapping_layers}.weight")) {
            mapping_layers += 1;
        }
        let arch = Self {
            z_dim: dimension(shapes, "mapping.fc0.weight", 1)?,
            w_dim: dimension(shapes, "mapping.w_avg", 0)?,
            mapping_layers,
            channels,
            img_channels,
            conv_clamp: None,
        };
        check(shapes, &arch.tensor_shapes(), &arch.filter_names())?;
        Ok(arch)
    }
}

impl DiscriminatorArch {
    /// Checks that networks of these sizes are supported.
    ///
    /// # Errors
    /// A size is out of its range; the error names it.
    pub fn check(&self) -> Result<(), ArchError> {
        check_sizes(&self.channels, &[("minibatch-deviation group", self.mbstd_group.divisor())])?;
        check_colours("img_channels", self.img_channels)
    }

    /// The discriminator that StyleGAN2-ADA trains with `generator`: residual, with the same channel table and clamp.
    /// `samples` is the minibatch standard deviation's group size.
    pub fn beside(generator: &GeneratorArch, samples: usize) -> Self {
        Self {
            channels: generator.channels.clone(),
            img_channels: generator.img_channels,
            architecture: CriticArchitecture::Resnet,
            mbstd_group: DeviationGroup::Samples(samples),
            conv_clamp: generator.conv_clamp,
        }
    }

    /// True if the block at `resolution` has a fromRGB layer and sees the image.
    pub fn has_fromrgb(&self, resolution: usize) -> bool {
        resolution == self.resolution() || self.architecture == CriticArchitecture::Skip
    }

    /// The height and width of the image.
    pub fn resolution(&self) -> usize {
        block_resolution(self.channels.len() - 1)
    }

    /// Every parameter with its shape, in the order of the official state dict, without the constant
    /// `resample_filter` buffers (see [`DiscriminatorArch::filter_names`]).
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        for i in (1..self.channels.len()).rev() {
            let block = format!("b{}", block_resolution(i));
            let (c, after) = (self.channels[i], self.channels[i - 1]);
            if self.has_fromrgb(block_resolution(i)) {
                list.conv(&format!("{block}.fromrgb"), self.img_channels, c, 1);
            }
            list.conv(&format!("{block}.conv0"), c, c, 3);
            list.conv(&format!("{block}.conv1"), c, after, 3);
            if self.architecture == CriticArchitecture::Resnet {
                list.add(&format!("{block}.skip"), "weight", &[after, c, 1, 1]);
            }
        }
        let c = self.channels[0];
        if self.has_fromrgb(4) {
            list.conv("b4.fromrgb", self.img_channels, c, 1);
        }
        list.conv("b4.conv", c + self.mbstd_group.channels(), c, 3);
        list.add("b4.fc", "weight", &[c, 16 * c]);
        list.add("b4.fc", "bias", &[c]);
        list.add("b4.out", "weight", &[1, c]);
        list.add("b4.out", "bias", &[1]);
        list.0
    }

    /// The names under which official files carry the FIR filter `outer([1, 3, 3, 1]) / 64` as a `[4, 4]` buffer.
    pub fn filter_names(&self) -> Vec<String> {
        let mut names = vec![format!("b4.conv{FILTER}")];
        for resolution in (0..self.channels.len()).map(block_resolution) {
            let block = format!("b{resolution}");
            if self.has_fromrgb(resolution) {
                names.push(format!("{block}.fromrgb{FILTER}"));
            }
            if resolution > 4 {
                names.extend(["", ".conv0", ".conv1"].map(|layer| format!("{block}{layer}{FILTER}")));
            }
            if resolution > 4 && self.architecture == CriticArchitecture::Resnet {
                names.push(format!("{block}.skip{FILTER}"));
            }
        }
        names
    }

    /// The shape of the discriminator that has these tensors. Tensors do not show the clamp, which is `None` here, nor
    /// the group size of the minibatch standard deviation, which is 4 here (StyleGAN2-ADA's default) if the layer is
    /// present. `resample_filter` buffers are optional.
    ///
    /// # Errors
    /// The errors of [`GeneratorArch::from_shapes`].
    pub fn from_shapes(shapes: &Shapes) -> Result<Self, ArchError> {
        refuse_conditional(shapes, "mapping.")?;
        let channels = blocks(shapes, |r| match r {
            4 => "b4.conv.weight".into(),
            _ => format!("b{r}.conv0.weight"),
        })?;
        let img_channels = colours(shapes, &format!("b{}.fromrgb.weight", block_resolution(channels.len() - 1)), 1)?;
        let architecture = match () {
            () if shapes.contains_key("b8.skip.weight") => CriticArchitecture::Resnet,
            () if shapes.contains_key("b4.fromrgb.weight") => CriticArchitecture::Skip,
            () => CriticArchitecture::Orig,
        };
        let inputs = dimension(shapes, "b4.conv.weight", 1)?;
        let mbstd_group = match inputs == channels[0] {
            true => DeviationGroup::Absent,
            false => DeviationGroup::Samples(4),
        };
        let arch = Self { channels, img_channels, architecture, mbstd_group, conv_clamp: None };
        check(shapes, &arch.tensor_shapes(), &arch.filter_names())?;
        Ok(arch)
    }
}

const FILTER: &str = ".resample_filter";

/// StyleGAN2-ADA's `min(channel_base / resolution, channel_max)` at 4, 8, ... `resolution`.
pub fn channel_table(resolution: usize, base: usize, max: usize) -> Vec<usize> {
    let blocks = (0..).map(block_resolution).take_while(|&r| r <= resolution);
    blocks.map(|r| (base / r).min(max)).collect()
}

#[derive(Default)]
struct List(Vec<(String, Vec<usize>)>);

impl List {
    fn add(&mut self, module: &str, name: &str, shape: &[usize]) {
        self.0.push((format!("{module}.{name}"), shape.to_vec()));
    }

    fn affine(&mut self, layer: &str, w_dim: usize, channels: usize) {
        self.add(layer, "affine.weight", &[channels, w_dim]);
        self.add(layer, "affine.bias", &[channels]);
    }

    fn conv(&mut self, name: &str, cin: usize, cout: usize, kernel: usize) {
        self.add(name, "weight", &[cout, cin, kernel, kernel]);
        self.add(name, "bias", &[cout]);
    }
}

fn dimension(shapes: &Shapes, name: &str, axis: usize) -> Result<usize, ArchError> {
    let shape = shapes.get(name).ok_or_else(|| ArchError::new(name, "missing: every StyleGAN2 network has it"))?;
    match shape.get(axis) {
        // This limit is far above any network and far below anything that could overflow.
        Some(&size) if (1..=1 << 20).contains(&size) => Ok(size),
        _ => Err(ArchError::new(name, format!("impossible shape {shape:?}"))),
    }
}

/// The output channels of each block's first tensor, from 4x4 up to the last resolution that is present.
fn blocks(shapes: &Shapes, name: impl Fn(usize) -> String) -> Result<Vec<usize>, ArchError> {
    let mut channels = vec![dimension(shapes, &name(4), 0)?];
    while shapes.contains_key(&name(block_resolution(channels.len()))) {
        let resolution = block_resolution(channels.len());
        if resolution > *RESOLUTIONS.end() {
            let problem = format!("resolution above {}", RESOLUTIONS.end());
            return Err(ArchError::new(name(resolution), problem));
        }
        channels.push(dimension(shapes, &name(resolution), 0)?);
    }
    if channels.len() < 2 {
        let problem = "missing: the smallest network that is read is 8x8";
        return Err(ArchError::new(name(8), problem));
    }
    Ok(channels)
}

fn refuse_conditional(shapes: &Shapes, prefix: &str) -> Result<(), ArchError> {
    let label = |name: &&String| name.starts_with(prefix);
    match shapes.keys().find(label) {
        Some(name) => {
            Err(ArchError::new(name, "conditional network (c_dim > 0): only unconditional ones are supported"))
        }
        None => Ok(()),
    }
}

/// The number of image channels, read from an axis of a tensor.
fn colours(shapes: &Shapes, name: &str, axis: usize) -> Result<usize, ArchError> {
    let found = dimension(shapes, name, axis)?;
    check_colours(name, found)?;
    Ok(found)
}

fn check_colours(place: &str, img_channels: usize) -> Result<(), ArchError> {
    match img_channels {
        RGB | GREY => Ok(()),
        other => Err(ArchError::new(place, format!("img_channels = {other}: only RGB (3) and grey (1) are supported"))),
    }
}

fn check(shapes: &Shapes, tensors: &[(String, Vec<usize>)], filters: &[String]) -> Result<(), ArchError> {
    let mut unknown: BTreeMap<&str, &[usize]> = shapes.iter().map(|(n, s)| (&n[..], &s[..])).collect();
    let wanted = tensors.iter().map(|(n, s)| (n, &s[..], true));
    let filters = filters.iter().map(|n| (n, &[4, 4][..], false));
    for (name, shape, required) in wanted.chain(filters) {
        match unknown.remove(&name[..]) {
            Some(found) if found == shape => {}
            Some(found) => {
                let problem = format!("shape {found:?}, expected {shape:?}");
                return Err(ArchError::new(name, problem));
            }
            None if required => return Err(ArchError::new(name, "missing")),
            None => {}
        }
    }
    match unknown.first_key_value() {
        Some((name, _)) => Err(ArchError::new(*name, "not a tensor of this network: unsupported architecture")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(list: Vec<(String, Vec<usize>)>) -> Shapes {
        list.into_iter().collect()
    }

    fn small() -> GeneratorArch {
        let channels = vec![4, 7, 2];
        GeneratorArch { z_dim: 5, w_dim: 6, mapping_layers: 3, channels, img_channels: RGB, conv_clamp: None }
    }

    #[test]
    fn a_network_is_known_by_its_tensors() {
        let arch = small();
        let grey = GeneratorArch { img_channels: GREY, ..small() };
        for arch in [&arch, &grey] {
            assert_eq!(GeneratorArch::from_shapes(&shapes(arch.tensor_shapes())), Ok(arch.clone()));
        }
        let critic = DiscriminatorArch::beside(&grey, 4);
        assert_eq!(DiscriminatorArch::from_shapes(&shapes(critic.tensor_shapes())), Ok(critic));
        let critic = DiscriminatorArch::beside(&arch, 4);
        for architecture in [CriticArchitecture::Orig, CriticArchitecture::Skip, CriticArchitecture::Resnet] {
            for mbstd_group in [DeviationGroup::Absent, DeviationGroup::Samples(4)] {
                let critic = DiscriminatorArch { architecture, mbstd_group, ..critic.clone() };
                assert_eq!(DiscriminatorArch::from_shapes(&shapes(critic.tensor_shapes())), Ok(critic));
            }
        }
    }

    #[test]
    fn a_group_is_the_same_when_it_is_read_back() {
        for (group, written) in [
            (DeviationGroup::Samples(8), "8"),
            (DeviationGroup::Batch, "\"batch\""),
            (DeviationGroup::Absent, "\"absent\""),
        ] {
            assert_eq!(serde_json::to_string(&group).unwrap(), written);
            assert_eq!(serde_json::from_str::<DeviationGroup>(written).unwrap(), group);
            assert_eq!(group.to_string().parse(), Ok(group));
        }
        for wrong in ["0", "-1", "many", "65537"] {
            assert!(wrong.parse::<DeviationGroup>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_added_or_reshaped_is_named() {
        let full = shapes(small().tensor_shapes());
        for name in full.keys() {
            let mut without = full.clone();
            without.remove(name);
            assert!(GeneratorArch::from_shapes(&without).is_err(), "{name}");
            let mut reshaped = full.clone();
            reshaped.entry(name.clone()).or_default().push(1);
            assert!(GeneratorArch::from_shapes(&reshaped).is_err(), "{name}");
        }
        let mut more = full;
        more.insert("synthesis.b4.conv0.weight".into(), vec![4, 4, 3, 3]);
        let error = GeneratorArch::from_shapes(&more).unwrap_err();
        assert_eq!(error.place, "synthesis.b4.conv0.weight");
    }

    #[test]
    fn every_ratio_keeps_a_channel_and_only_shares_are_ratios() {
        let arch = small();
        let pruned = arch.pruned(0.999_999_999_999_999_9).unwrap();
        assert_eq!(pruned.channels, [1, 1, 1]);
        assert_eq!(arch.pruned(0.0).unwrap(), arch);
        for wrong in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            assert!(arch.pruned(wrong).is_err());
        }
    }
}
