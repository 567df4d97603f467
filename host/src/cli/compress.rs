//! `nickeldime compress`: prunes a teacher and distils it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use burn::tensor::backend::Backend;
use nickeldime_checkpoint::model::weights::GeneratorWeights;
use serde::Serialize;

use super::{
    embedder::make,
    images::{ImageFlags, opened},
    model::{checkpoint_from, model_file},
    outputs,
    progress::{Bar, say, stop_on_ctrl_c},
    training::{SettingFlags, finish},
};
use crate::{
    backend::{BackendKind, Inner, with_backend},
    boards::{self, fit},
    compress::{
        bank::{TeacherSide, banks},
        in_domain::{BATCH as BATCH_OF_EMBEDDER, InDomain, LR},
        inputs::Inputs,
        method::{Criterion, CriticStart, Method},
        mmd::Mmd,
        moments::{BATCH, GlobalMoments, Sampling},
        pipeline::{Start, check, prepare},
        settings::{Refine, Settings},
    },
    data::{Dataset, ImageSizes, Orientation},
    draw::NoiseMode,
    embed::{
        EmbedderWeights,
        spec::{self, EmbedSpec, Kind},
    },
    metrics::cache::FeatureCache,
    quantise::PackOptions,
    run::{Record, RunFolder, drive, drive::write_grid, layout},
};

/// Arguments of `compress`.
#[derive(clap::Args)]
pub struct CompressArgs {
    /// The teacher with generator and discriminator: a StyleGAN2-ADA .pkl, a .pt from rosinality's training, safetensors,
    /// or the folder of a run that `train` made.
    #[arg(long, required_unless_present = "resume")]
    teacher: Option<PathBuf>,
    /// The real images: a folder or a zip.
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// The run's folder.
    #[arg(short, long)]
    output: PathBuf,
    /// Continue the run in the folder, with the inputs and settings that it began with.
    #[arg(long, conflicts_with_all = ["teacher", "data", "embed", "masks", "resize"])]
    resume: bool,
    /// Crop every real image to its middle square and scale it to the teacher's size. Without this flag, images of
    /// another size are refused.
    #[arg(long)]
    resize: bool,
    #[command(flatten)]
    images: ImageFlags,
    /// An embedding for DiME: dino=FILE (DINO's dino_resnet50_pretrain.pth), clip=FILE (OpenAI's RN50.pt),
    /// resnet50=FILE, inception=FILE or small=FILE. Give the flag once for each embedding. A weight for both moments,
    /// or one for each, may follow (FILE:WEIGHT, FILE:FIRST:SECOND); the defaults are the paper's, 20 for dino and 15
    /// for clip. Without embeddings, a method that matches distributions trains a small embedder on the run's images,
    /// as `nickeldime embedder train` does, and keeps it.
    #[arg(long, value_name = "KIND=FILE[:WEIGHT[:SECOND]]")]
    embed: Vec<EmbedSpec>,
    /// The teacher's global moments in the same embeddings, as written by `nickeldime moments`. Without this flag they
    /// are measured over --moment-samples images and kept in the run's folder.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["moment_samples", "resume"])]
    moments: Option<PathBuf>,
    /// Content masks for scoring: a folder or zip of black and white images. One mask serves all seeds; several, in the
    /// order of their names, serve the seeds 0, 1, ... (0000.png, 0001.png, ..., as written by `sample --each`).
    #[arg(long)]
    masks: Option<PathBuf>,
    /// The backend to compute on. Default for a resumed run: the backend that it ran on.
    #[arg(long, value_enum)]
    backend: Option<BackendKind>,
    /// Refuse, before training, a student that would not fit this board.
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    #[command(flatten)]
    student: StudentFlags,
    #[command(flatten)]
    settings: SettingFlags,
}

/// The settings of a compression that a training from scratch does not have.
#[derive(clap::Args, Serialize)]
#[serde(rename_all = "kebab-case")]
struct StudentFlags {
    /// The method, which says what the student learns from.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Method>,
    /// The share of the channels to remove, in [0, 1).
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// The criterion that scores channels. Default: the method's own.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    criterion: Option<Criterion>,
    /// The start of the student's critic. Default: the method's own.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    critic_start: Option<CriticStart>,
    /// The change to the pruned weights before training; svs is singular value scaling.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    refine: Option<Refine>,
    /// The length of the sparse stage of --method gs before pruning, in thousands of images. 0 leaves the stage out.
    /// Default: a quarter of --kimg.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse_kimg: Option<f64>,
    /// The number of pruned starts to compare, scored with the seeds 0, 1, ... The start whose images are nearest to the
    /// teacher's, by the Fréchet distance in the run's embeddings, is trained. One start is scored with --seed. Default: 4
    /// for methods with DiME, 1 for others.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    starts: Option<usize>,
    /// The number of images over which DiME takes the moments of a batch; 8 in the authors' runs. Default: the whole
    /// batch.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    dime_batch: Option<usize>,
    /// The number of teacher images that channels are scored with.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    score_samples: Option<usize>,
    /// The number of teacher images that global moments are measured over.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    moment_samples: Option<usize>,
    /// The way in which distributions are compared in an embedding.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mmd: Option<Mmd>,
    /// The number of teacher images in the feature bank of --mmd rbf and --mmd poly.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_samples: Option<usize>,
    /// The length of the training of the run's own embedder, in thousands of images, if no embedding is given.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder_kimg: Option<f64>,
}

pub fn run(args: &CompressArgs, json: bool) -> anyhow::Result<()> {
    stop_on_ctrl_c();
    let board = args.board.as_deref().map(boards::find).transpose()?;
    let (mut record, begun) = match (&args.teacher, &args.data) {
        (Some(teacher), Some(data)) => (begin(args, teacher, data)?, None),
        _ => {
            args.images.refuse_with_resume()?;
            let (run, mut record, state) = RunFolder::resume(&args.output)?;
            args.settings.lengthen(&args.student, &mut record.settings)?;
            (record, Some((run, state)))
        }
    };
    record.backend = args.backend.unwrap_or(record.backend);
    record.backend.check()?;
    let path = record.teacher.clone().context("this run was begun by `nickeldime train`: resume it there")?;
    let bytes = record.read_input(&path)?;
    for embed in record.embeds.clone() {
        record.read_input(&embed.path)?;
    }
    let teacher = checkpoint_from(&path, &bytes)?;
    let size = teacher.generator.arch.resolution();
    if begun.is_none() {
        record.settings = args.settings.resolve(size, &args.student)?;
        record.resize = args.resize.then_some(size);
        record.own_embedder = record.embeds.is_empty() && record.settings.needs_an_embedding();
    }
    let looks = record.settings.needs_an_embedding();
    ensure!(looks || record.embeds.is_empty(), "this --method looks at no embedding: leave --embed out");
    if let Some(board) = &board {
        let (dense, ratio) = (&teacher.generator.arch, record.settings.ratio);
        let options = PackOptions::for_noise(NoiseMode::Const);
        if fit::check(board, dense, ratio, &options).is_err() {
            fit::check(board, dense, ratio, &fit::narrow(&options))
                .with_context(|| format!("the student at --ratio {ratio}"))?;
            say(format_args!("this student fits {} with `pack --mapping-bits 8` only", board.name()));
        }
    }
    let data =
        opened(&record.data, record.resize.map_or(ImageSizes::Exactly(size), ImageSizes::Resized), record.orientation)?;
    let mut embedders = record.embeds.iter().map(EmbedderWeights::read).collect::<Result<Vec<_>, _>>()?;
    let given = args.moments.as_deref().map(|path| read_moments(path, &teacher.generator, &embedders)).transpose()?;
    let kernel = record.settings.mmd != Mmd::Moments;
    ensure!(!(kernel && given.is_some()), "--moments goes with --mmd moments: the kernels have a bank of their own");
    ensure!(!(given.is_some() && embedders.is_empty()), "--moments goes with the --embed that they were measured in");
    if let (Some(path), Some(moments)) = (&args.moments, &given) {
        record.read_input(&std::path::absolute(path)?)?;
        record.settings.moment_samples = moments.samples;
    }
    let masks =
        record.masks.as_deref().map(|path| read_masks(path, record.orientation)).transpose()?.unwrap_or_default();
    record.substitutions = substitutions(&record, masks.len());
    announce(&record)?;
    check(&Inputs { teacher: &teacher, data: &data, embeds: &embedders, masks: masks.clone() }, &record.settings)?;
    let (run, state) = match begun {
        Some(begun) => begun,
        None => (RunFolder::create(&args.output, &record)?, None),
    };
    if record.own_embedder {
        embedders.push(own_embedder(&run, &data, &record)?);
    }
    let start = state.map_or(Start::Fresh, Start::Saved);
    let inputs = Inputs { teacher: &teacher, data: &data, embeds: &embedders, masks };
    write_grid(&teacher.generator, &run.teacher_grid())?;
    let trained = with_backend!(record.backend, A => {
        let measured = if record.settings.method.parts().dime { &embedders[..] } else { &[] };
        let side = teacher_side::<Inner<A>>(given, &run, &teacher.generator, measured, &record.settings)?;
        let mut trainer = prepare::<A>(inputs, &side, &record.settings, start, &Default::default(), &mut Bar::new())?;
        run.save_record(&record)?;
        let run = run.opened_log(trainer.step)?;
        drive(&mut trainer, &data, run, &args.output, false, &mut Bar::new())?
    });
    finish(&trained, &record.settings, "compress", json)
}

/// The record of a new run. Its settings follow when the teacher's size is known.
fn begin(args: &CompressArgs, teacher: &Path, data: &Path) -> anyhow::Result<Record> {
    RunFolder::vacant(&args.output)?;
    outputs::folder(&args.output)?;
    // A run may be gone on with from elsewhere.
    let absolute = |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
    let mut embeds = args.embed.clone();
    for embed in &mut embeds {
        embed.path = absolute(&embed.path)?;
    }
    Ok(Record {
        teacher: Some(absolute(&model_file(teacher)?)?),
        embeds,
        orientation: args.images.orientation(),
        masks: args.masks.as_deref().map(absolute).transpose()?,
        ..Record::new(absolute(data)?)
    })
}

/// The sentences about parts of the published method that this run replaces by something else.
fn substitutions(record: &Record, masks: usize) -> Vec<String> {
    let serves = record.embeds.iter().find(|spec| spec.kind != Kind::Inception);
    let embedding =
        serves.map_or_else(|| "the run's own small embedder".into(), |spec| format!("{} embedder", spec.kind.name()));
    record.settings.method.substitutions(&embedding, masks == 1)
}

/// Prints the embeddings in which the run compares distributions.
fn announce(record: &Record) -> anyhow::Result<()> {
    let settings = &record.settings;
    let dime = settings.method.parts().dime;
    let used = settings.needs_an_embedding();
    if !used {
        say(format_args!("without DiME: no embedding"));
    }
    let own = record.own_embedder.then(|| EmbedSpec::own(layout::EMBEDDER.into()));
    let all: Vec<EmbedSpec> = record.embeds.iter().cloned().chain(own).collect();
    for spec in &all {
        let own = if record.own_embedder { ": none was given, so the run trains one on its own images" } else { "" };
        say(format_args!("embedding {spec}{own}"));
    }
    for sentence in &record.substitutions {
        say(format_args!("{sentence}"));
    }
    if settings.method == Method::Gs {
        match settings.sparse_kimg() {
            0.0 => say(format_args!("the sparse stage is left out: this is pruning by the size of the styles")),
            kimg => say(format_args!("sparse stage: {kimg} kimg on the dense network before it is pruned")),
        }
    }
    if record.settings.mmd != Mmd::Moments && dime {
        let images = settings.bank_samples;
        say(format_args!(
            "distributions by a kernel against {images} teacher images (--mmd), not by the paper's moments"
        ));
    }
    if dime {
        say(format_args!("{}", spec::compared_with_the_paper(&all)));
    }
    Ok(())
}

/// The embedder that the run trains on its own images, or trained before it was stopped.
fn own_embedder(run: &RunFolder, data: &Dataset, record: &Record) -> anyhow::Result<EmbedderWeights> {
    let path = run.embedder();
    if !path.exists() {
        let Settings { embedder_kimg: kimg, mirror, seed, .. } = record.settings;
        let settings = InDomain { kimg, batch: BATCH_OF_EMBEDDER, lr: LR, mirror, seed };
        make(data, settings, record.backend, &path)?;
    }
    Ok(EmbedderWeights::read(&EmbedSpec::own(path))?)
}

/// Reads moments from a file; they must be this teacher's and cover all of these embeddings.
fn read_moments(
    path: &Path,
    teacher: &GeneratorWeights,
    embedders: &[EmbedderWeights],
) -> anyhow::Result<GlobalMoments> {
    let moments = GlobalMoments::read(path)?;
    moments.check(path, teacher, embedders)?;
    Ok(moments)
}

/// The teacher's side of the comparison that the settings choose: read from the run's folder, or measured and kept
/// there.
fn teacher_side<B: Backend>(
    given: Option<GlobalMoments>,
    run: &RunFolder,
    teacher: &GeneratorWeights,
    embedders: &[EmbedderWeights],
    settings: &Settings,
) -> anyhow::Result<TeacherSide> {
    if settings.mmd == Mmd::Moments {
        let moments = kept_moments::<B>(given, run, teacher, embedders, settings.moment_samples)?;
        return Ok(TeacherSide::Moments(moments));
    }
    let sampling = Sampling { samples: settings.bank_samples, seed: 0, batch: BATCH };
    let cache = FeatureCache::new(&run.bank());
    let banks = match embedders {
        [] => Vec::new(),
        _ => banks::<B>(teacher, embedders, sampling, &cache, &Default::default(), &mut Bar::new())?,
    };
    Ok(TeacherSide::Banks(settings.mmd, banks))
}

/// The run's moments: those that were given, those in its folder, or new ones. Afterwards the folder has them.
fn kept_moments<B: Backend>(
    given: Option<GlobalMoments>,
    run: &RunFolder,
    teacher: &GeneratorWeights,
    embedders: &[EmbedderWeights],
    samples: usize,
) -> anyhow::Result<GlobalMoments> {
    let path = run.moments();
    if given.is_none() && path.exists() {
        let again = "the run's moments: delete this file to have them measured again";
        return read_moments(&path, teacher, embedders).context(again);
    }
    let sampling = Sampling { samples, seed: 0, batch: BATCH };
    let measure = || GlobalMoments::measure::<B>(teacher, embedders, sampling, &Default::default(), &mut Bar::new());
    let moments = given.map_or_else(measure, Ok)?;
    if !embedders.is_empty() {
        moments.write(&path)?;
    }
    Ok(moments)
}

fn read_masks(path: &Path, orientation: Orientation) -> anyhow::Result<Vec<Vec<bool>>> {
    let masks = opened(path, ImageSizes::Alike, orientation)?;
    let pixels = masks.resolution() * masks.resolution();
    (0..masks.len())
        .map(|i| {
            // White is content. Masks are grey, so one channel is enough.
            let image = masks.image(i)?;
            Ok(image.iter().take(pixels).map(|&x| x > 127).collect())
        })
        .collect()
}
