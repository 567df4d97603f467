//! `nickeldime train`: a teacher from scratch, or from a checkpoint.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nickeldime_checkpoint::model::{
    arch::{DiscriminatorArch, GREY, GeneratorArch, RESOLUTIONS, RGB, channel_table},
    initial,
    weights::{DiscriminatorWeights, GeneratorWeights},
};

use super::{
    images::{ImageFlags, opened},
    model::{checkpoint_from, model_file},
    outputs,
    progress::{Bar, stop_on_ctrl_c},
    training::{SettingFlags, finish},
};
use crate::{
    backend::{BackendKind, with_backend},
    compress::{
        method::Method,
        pipeline::{Start, prepare_alone},
    },
    data::{Dataset, ImageSizes, Orientation},
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
    #[command(flatten)]
    images: ImageFlags,
    /// Fine-tune the networks of a checkpoint, or of a run that `train` made, instead of networks of random weights. The
    /// checkpoint must have its discriminator, and images the size of the data (see --resize).
    #[arg(long, value_name = "CHECKPOINT", conflicts_with_all = [
        "resume", "channel_base", "channel_max", "z_dim", "w_dim", "mapping_layers", "grey",
    ])]
    from: Option<PathBuf>,
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
    let (mut record, data, begun) = match &args.data {
        Some(path) => {
            RunFolder::vacant(&args.output)?;
            outputs::folder(&args.output)?;
            let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
            let data = data_of(&path, args.resize, args.images.orientation())?;
            (begin(args, path, data.resolution())?, data, None)
        }
        None => {
            args.images.refuse_with_resume()?;
            let (run, mut record, state) = RunFolder::resume(&args.output)?;
            args.settings.lengthen(&(), &mut record.settings)?;
            let data = data_of(&record.data, record.resize, record.orientation)?;
            (record, data, Some((run, state)))
        }
    };
    let (arch, critic) =
        record.scratch.clone().context("this run was begun by `nickeldime compress`: resume it there")?;
    let (given, size) = (data.resolution(), arch.resolution());
    ensure!(
        given == size,
        "{}: {given}x{given} images; the run is of {size}x{size} (--resize {size} makes them so)",
        record.data.display()
    );
    let saved = matches!(begun, Some((_, Some(_))));
    let (generator, critic) = match record.from.clone().filter(|_| !saved) {
        Some(path) => networks(&mut record, &path)?,
        // A saved state overwrites every number.
        None => {
            (initial::generator(&arch, record.settings.seed), initial::discriminator(&critic, record.settings.seed))
        }
    };
    let (run, state) = match begun {
        Some(begun) => begun,
        None => (RunFolder::create(&args.output, &record)?, None),
    };
    let start = state.map_or(Start::Fresh, Start::Saved);
    let trained = with_backend!(args.backend.unwrap_or(record.backend), A => {
        let mut trainer = prepare_alone::<A>(generator, critic, &record.settings, start, &Default::default())?;
        run.save_record(&record)?;
        let run = run.opened_log(trainer.step)?;
        drive(&mut trainer, &data, run, &args.output, true, &mut Bar::new())?
    });
    finish(&trained, &record.settings, "train", json)
}

fn data_of(path: &Path, resize: Option<usize>, orientation: Orientation) -> anyhow::Result<Dataset> {
    Ok(opened(path, resize.map_or(ImageSizes::Alike, ImageSizes::Resized), orientation)?)
}

/// The networks of the checkpoint that a run begins with.
fn networks(record: &mut Record, path: &Path) -> anyhow::Result<(GeneratorWeights, DiscriminatorWeights)> {
    let checkpoint = checkpoint_from(path, &record.read_input(path)?)?;
    let critic = checkpoint.critic().with_context(|| format!("--from {}", path.display()))?.clone();
    Ok((checkpoint.generator, critic))
}

/// The record of a new run.
fn begin(args: &TrainArgs, data: PathBuf, resolution: usize) -> anyhow::Result<Record> {
    ensure!(
        resolution.is_power_of_two() && RESOLUTIONS.contains(&resolution),
        "{}: {resolution}x{resolution} images; the networks take powers of two from 8 to 1024",
        data.display()
    );
    let mut settings = args.settings.resolve(resolution, &())?;
    settings.method = Method::Gan;
    let backend = args.backend.unwrap_or_default();
    let record = Record { resize: args.resize, orientation: args.images.orientation(), backend, ..Record::new(data) };
    if let Some(from) = &args.from {
        let from = std::path::absolute(model_file(from)?).with_context(|| from.display().to_string())?;
        let mut record = Record { settings, from: Some(from.clone()), ..record };
        let (generator, critic) = networks(&mut record, &from)?;
        record.settings.check(critic.arch.mbstd_group.divisor())?;
        return Ok(Record { scratch: Some((generator.arch, critic.arch)), ..record });
    }
    // StyleGAN2-ADA's configurations differ in width, depth of the mapping and group.
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
    Ok(Record { settings, scratch: Some((arch, critic)), ..record })
}
