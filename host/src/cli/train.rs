//! `nickeldime train`: trains a teacher from scratch.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nickeldime_checkpoint::model::arch::{DiscriminatorArch, GREY, GeneratorArch, RESOLUTIONS, RGB, channel_table};

use super::{
    progress::{Bar, stop_on_ctrl_c},
    training::{SettingFlags, finish},
};
use crate::{
    backend::{BackendKind, with_backend},
    compress::{
        method::Method,
        pipeline::{Start, prepare_scratch},
    },
    data::{Dataset, ImageSizes},
    run::{Record, RunFolder, drive},
};

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct TrainArgs {
    /// The real images: a folder or a zip.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder.
    #[arg(short, long)]
    output: PathBuf,
    /// Continue the run in the folder, with the data and settings that it began with.
    #[arg(long, conflicts_with = "data")]
    resume: bool,
    /// Crop every image to its middle square and scale it to this height and width.
    #[arg(long, value_name = "SIZE", value_parser = super::size, conflicts_with = "resume")]
    resize: Option<usize>,
    /// The channel base: a resolution has this many channels divided by the resolution. Default: the preset's.
    #[arg(long)]
    channel_base: Option<usize>,
    /// The largest number of channels at any resolution.
    #[arg(long, default_value_t = 512)]
    channel_max: usize,
    /// The width of z.
    #[arg(long, default_value_t = 512)]
    z_dim: usize,
    /// The width of w.
    #[arg(long, default_value_t = 512)]
    w_dim: usize,
    /// Train networks of one channel, on the images' luminance.
    #[arg(long, conflicts_with = "resume")]
    grey: bool,
    /// The number of layers of the mapping network. Default: the preset's.
    #[arg(long)]
    mapping_layers: Option<usize>,
    /// The backend to compute on. Default for a resumed run: the backend that it ran on.
    #[arg(long, value_enum)]
    backend: Option<BackendKind>,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn run(args: &TrainArgs, json: bool) -> anyhow::Result<()> {
    stop_on_ctrl_c();
    args.backend.unwrap_or_default().check()?;
    let (record, data, run, state) = match &args.data {
        Some(path) => {
            RunFolder::vacant(&args.output)?;
            let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
            let data = opened(&path, args.resize)?;
            let (record, run) = begin(args, path, data.resolution())?;
            (record, data, run, None)
        }
        None => {
            args.settings.refuse_with_resume(&())?;
            let (run, record, state) = RunFolder::resume(&args.output)?;
            let data = opened(&record.data, record.resize)?;
            (record, data, run, state)
        }
    };
    let (arch, critic) =
        record.scratch.clone().context("this run was begun by `nickeldime compress`: resume it there")?;
    let (given, size) = (data.resolution(), arch.resolution());
    ensure!(given == size, "{}: {given}x{given} images; the run is of {size}x{size}", record.data.display());
    let start = state.map_or(Start::Fresh, Start::Saved);
    let trained = with_backend!(args.backend.unwrap_or(record.backend), A => {
        let mut trainer = prepare_scratch::<A>(&arch, &critic, &record.settings, start, &Default::default())?;
        let run = run.opened_log(trainer.step)?;
        drive(&mut trainer, &data, run, &args.output, true, &mut Bar::new())?
    });
    finish(&trained, &record.settings, "train", json)
}

fn opened(path: &Path, resize: Option<usize>) -> anyhow::Result<Dataset> {
    Ok(Dataset::open_as(path, resize.map_or(ImageSizes::Alike, ImageSizes::Resized))?)
}

fn begin(args: &TrainArgs, data: PathBuf, resolution: usize) -> anyhow::Result<(Record, RunFolder)> {
    ensure!(
        resolution.is_power_of_two() && RESOLUTIONS.contains(&resolution),
        "{}: {resolution}x{resolution} images; the networks take powers of two from 8 to 1024",
        data.display()
    );
    let mut settings = args.settings.resolve(resolution, &())?;
    settings.method = Method::Gan;
    // StyleGAN2-ADA's configurations differ in width, in the depth of the mapping network, and in the group.
    let preset = args.settings.preset_name(resolution);
    let small = preset == "paper256" || (preset == "auto" && resolution < 512);
    let base = args.channel_base.unwrap_or(if small { 16384 } else { 32768 });
    let shallow = ["auto", "cifar"].contains(&preset);
    let widths = [args.channel_max, args.z_dim, args.w_dim];
    ensure!(widths.iter().all(|w| (1..=4096).contains(w)), "channels and widths must be between 1 and 4096");
    ensure!(base >= resolution, "--channel-base {base}: leaves no channel at {resolution}x{resolution}");
    let mapping_layers = args.mapping_layers.unwrap_or(if shallow { 2 } else { 8 });
    ensure!((1..=64).contains(&mapping_layers), "--mapping-layers {mapping_layers}: between 1 and 64");
    let arch = GeneratorArch {
        z_dim: args.z_dim,
        w_dim: args.w_dim,
        mapping_layers,
        channels: channel_table(resolution, base, args.channel_max),
        img_channels: if args.grey { GREY } else { RGB },
        conv_clamp: None,
    };
    let group = match preset {
        "paper256" | "paper512" => 8,
        "cifar" => 32,
        _ => 4,
    };
    let critic = DiscriminatorArch::beside(&arch, group.min(settings.batch));
    settings.check(critic.mbstd_group.divisor())?;
    let backend = args.backend.unwrap_or_default();
    let scratch = Some((arch, critic));
    let record = Record { settings, scratch, resize: args.resize, backend, ..Record::new(data) };
    let run = RunFolder::create(Path::new(&args.output), &record)?;
    Ok((record, run))
}
