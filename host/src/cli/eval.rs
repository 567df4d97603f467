//! `nickeldime eval`: measures FID, KID, precision and recall.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, ensure};
use ndarray::Array2;
use serde::Serialize;

use super::{
    Interrupted,
    images::ImageFlags,
    model::model_file,
    outputs,
    progress::{Bar, stop_on_ctrl_c},
    source::{Drawing, Shown, Source, SourceKind, record_of},
};
use crate::{
    backend::BackendKind,
    data::Orientation,
    draw::NoiseMode,
    metrics::{
        FewSamples, Metrics, Wanted,
        cache::FeatureCache,
        evaluate,
        extractor::{ExtractError, Extractor, FeatureIdentity, FeatureNetwork},
    },
    run::{EvalLine, RunSummary, evals, is_run, layout, log},
};

/// Arguments of `eval`.
#[derive(clap::Args)]
pub struct EvalArgs {
    /// The images to measure: those of a model (.pkl, .safetensors, pack), of a run (its newest student), of a folder
    /// or of a zip.
    a: PathBuf,
    /// The images to compare with, given in the same way. Default for a run: the data that it was trained on.
    b: Option<PathBuf>,
    /// Compute the Fréchet distance. Without --fid, --kid and --pr, all metrics are computed.
    #[arg(long)]
    fid: bool,
    /// Compute the kernel distance: the mean over 100 random subsets of at most 1000 images.
    #[arg(long)]
    kid: bool,
    /// Compute precision and recall, with 3 neighbours.
    #[arg(long)]
    pr: bool,
    /// The network in whose features images are compared: inception=FILE (pytorch-fid's
    /// pt_inception-2015-12-05-6726825d.pth, whose features published metrics use), another embedder (dino=, clip=,
    /// resnet50=, small=FILE), or critic=FILE (the discriminator of a checkpoint or of a run). Default for a run: its teacher's
    /// critic.
    #[arg(long, value_name = "KIND=FILE")]
    features: Option<Extractor>,
    /// The number of images that a model draws. All images of a folder or zip are used.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The first seed. A model draws SEED, SEED + 1, ...; a second model continues after the first one's last seed. It
    /// is also the seed of KID's subsets.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The truncation: 1 leaves images as they are, 0 gives the mean image.
    #[arg(long, default_value_t = 1.0, allow_hyphen_values = true)]
    psi: f32,
    /// The noise. Default: the pack's own, or `random` for float networks.
    #[arg(long, value_enum)]
    noise: Option<NoiseMode>,
    /// Include the mirror images of folders and zips, as for a training with mirrored images.
    #[arg(long)]
    mirror: bool,
    /// Crop every image of folders and zips to its middle square and scale it to this height and width.
    #[arg(long, value_name = "SIZE", value_parser = super::size)]
    resize: Option<usize>,
    #[command(flatten)]
    images_as: ImageFlags,
    /// Compute FID even if there are no more images than features, although it is far too large then.
    #[arg(long)]
    few_samples: bool,
    /// The backend of float generators and of feature extraction.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendKind,
    /// Cache features in this folder. Default for a run: RUN/features.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Measure every student that the run has kept (RUN/students) instead of the newest one only.
    #[arg(long)]
    snapshots: bool,
    /// Measure the run's teacher too.
    #[arg(long, requires = "snapshots")]
    teacher: bool,
    /// Append the result to the run's eval.jsonl, for `report`.
    #[arg(long)]
    log: bool,
    /// The number of images that the run had seen, for --log. Default: the number in the run's log.
    #[arg(long, requires = "log", conflicts_with = "snapshots", value_name = "N")]
    images: Option<u64>,
}

/// One of the two sets that are compared.
#[derive(Debug, Clone, Serialize)]
struct Side {
    source: PathBuf,
    kind: SourceKind,
    images: usize,
    /// The number of files beside the images that were not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_read: Option<usize>,
}

#[derive(Serialize)]
struct Evaluated {
    a: Side,
    b: Side,
    #[serde(flatten)]
    metrics: Metrics,
    extractor: FeatureIdentity,
    features: usize,
    samples: usize,
    reference_samples: usize,
    /// Number of real images that the run had seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<u64>,
    /// True if this is the run's teacher.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    teacher: bool,
    seconds: f64,
}

/// A model of set A.
struct Subject {
    path: PathBuf,
    /// Number of real images that the run had seen, if known.
    seen: Option<u64>,
    teacher: bool,
}

/// The result of `--snapshots`.
#[derive(Serialize)]
struct Snapshots {
    snapshots: Vec<Evaluated>,
}

pub fn run(args: &EvalArgs, json: bool) -> anyhow::Result<()> {
    ensure!(args.psi.is_finite() && args.psi.abs() < 2.0, "--psi {}: must be above -2 and below 2", args.psi);
    let a_is_run = is_run(&args.a);
    ensure!(a_is_run || !args.log, "{}: --log is for runs", args.a.display());
    ensure!(a_is_run || !args.snapshots, "{}: --snapshots is for runs", args.a.display());
    // The result goes into the run's log in the end, and the features beside it.
    let written = args.cache.clone().into_iter().chain(args.log.then(|| args.a.clone()));
    written.into_iter().try_for_each(|folder| outputs::folder(&folder))?;
    stop_on_ctrl_c();
    let wanted = args.wanted();
    let network = FeatureNetwork::open(&args.extractor()?, args.backend)?;
    let own = a_is_run.then(|| args.a.join("features"));
    let cache = args.cache.clone().or(own).map(|folder| FeatureCache::new(&folder));
    let mut features = Features { network: &network, backend: args.backend, cache, bar: Bar::new() };

    let (b_path, shown) = args.compared_with()?;
    let models = args.models()?;
    let count = u64::from(args.samples);
    let drawing = |first: u64| -> anyhow::Result<Drawing> {
        let end = first.checked_add(count).context("--seed: beyond the largest seed")?;
        Ok(Drawing { seeds: first..end, psi: args.psi, noise: args.noise, backend: args.backend })
    };
    // B gets other latents than A, so that a model measured against itself is not compared with identical images.
    let b = Source::open(&b_path, &drawing(args.seed.saturating_add(count))?, shown)?;
    let b_side = side(&b_path, &b);
    let b_features = features.of(&b)?;

    let mut results = Vec::new();
    for Subject { path, seen, teacher } in models {
        let started = Instant::now();
        let a = Source::open(&path, &drawing(args.seed)?, shown)?;
        let a_features = features.of(&a)?;
        let metrics = evaluate(a_features.view(), b_features.view(), &wanted)?;
        let evaluated = Evaluated {
            a: side(&path, &a),
            b: b_side.clone(),
            metrics,
            extractor: network.identity().clone(),
            features: a_features.ncols(),
            samples: a_features.nrows(),
            reference_samples: b_features.nrows(),
            images: seen,
            teacher,
            seconds: started.elapsed().as_secs_f64(),
        };
        if args.log {
            evaluated.append(&args.a)?;
        }
        results.push(evaluated);
    }
    if args.snapshots {
        let snapshots = Snapshots { snapshots: results };
        let text = || snapshots.snapshots.iter().map(Evaluated::text).collect::<Vec<_>>().join("\n");
        return super::print(json, &snapshots, text);
    }
    results.iter().try_for_each(|evaluated| super::print(json, evaluated, || evaluated.text()))
}

impl EvalArgs {
    fn wanted(&self) -> Wanted {
        let Self { fid, kid, pr, seed, .. } = *self;
        let all = !(fid || kid || pr);
        let few = if self.few_samples { FewSamples::Allow } else { FewSamples::Refuse };
        Wanted { fid: fid || all, kid: kid || all, pr: pr || all, few, seed }
    }

    fn extractor(&self) -> anyhow::Result<Extractor> {
        match &self.features {
            Some(Extractor::Critic(path)) => return Ok(Extractor::Critic(model_file(path)?)),
            Some(extractor) => return Ok(extractor.clone()),
            None => {}
        }
        let teacher = record_of(&self.a, "the features with --features KIND=FILE")?.teacher;
        let none = || format!("{}: has no teacher to measure it by; name --features KIND=FILE", self.a.display());
        teacher.map(Extractor::Critic).with_context(none)
    }

    /// The other side, and how images of folders and zips are taken.
    fn compared_with(&self) -> anyhow::Result<(PathBuf, Shown)> {
        let shown = Shown { mirror: self.mirror, resize: self.resize, orientation: self.images_as.orientation() };
        if let Some(path) = &self.b {
            return Ok((path.clone(), shown));
        }
        let record = record_of(&self.a, "what to compare it with")?;
        let none = || format!("{}: does not say what it learned from; name the images", self.a.display());
        let orientation = match shown.orientation {
            Orientation::Stored => Orientation::Stored,
            // As the run took them.
            Orientation::Upright => record.orientation.unwrap_or(Orientation::Stored),
        };
        let resize = self.resize.or(record.resize);
        Ok((record.data.with_context(none)?, Shown { resize, orientation, ..shown }))
    }

    fn models(&self) -> anyhow::Result<Vec<Subject>> {
        if self.snapshots {
            let students = layout::snapshots(&self.a)?;
            ensure!(!students.is_empty(), "{}: has kept no students on its way", self.a.display());
            let student = |(seen, path)| Subject { path, seen: Some(seen), teacher: false };
            let mut models: Vec<Subject> = students.into_iter().map(student).collect();
            if self.teacher {
                let none = || format!("{}: has no teacher", self.a.display());
                let path = RunSummary::read(&self.a)?.teacher.with_context(none)?;
                models.push(Subject { path, seen: None, teacher: true });
            }
            return Ok(models);
        }
        let seen = match (self.images, is_run(&self.a)) {
            (Some(images), _) => Some(images),
            (None, true) => log::images_seen(&self.a)?,
            (None, false) => None,
        };
        if self.log {
            let name = self.a.display();
            ensure!(seen.is_some(), "{name}: its log does not say how many images it has seen; give --images");
        }
        Ok(vec![Subject { path: self.a.clone(), seen, teacher: false }])
    }
}

fn side(path: &Path, source: &Source) -> Side {
    let not_read = (source.kind == SourceKind::Images).then_some(source.not_read);
    Side { source: path.into(), kind: source.kind, images: source.images.len(), not_read }
}

/// Computes features, or reads them from the cache.
struct Features<'a> {
    network: &'a FeatureNetwork,
    backend: BackendKind,
    cache: Option<FeatureCache>,
    bar: Bar,
}

impl Features<'_> {
    fn of(&mut self, source: &Source) -> anyhow::Result<Array2<f32>> {
        let FeatureIdentity { kind, sha256, .. } = self.network.identity();
        // The cache distinguishes backends, because their features differ in the last digits.
        let place =
            if self.backend == BackendKind::Flex { String::new() } else { format!(" on {}", self.backend.name()) };
        let key = format!("{kind} {sha256} {}{place}", source.key);
        let kept = self.cache.as_ref().and_then(|cache| cache.get(&key, source.images.len()));
        if let Some(features) = kept {
            return Ok(features);
        }
        let features = match self.network.extract(&*source.images, &mut self.bar) {
            Err(ExtractError::Stopped) => return Err(Interrupted("stopped: nothing was written".into()).into()),
            features => features?,
        };
        if let Some(cache) = &self.cache {
            cache.put(&key, &features)?;
        }
        Ok(features)
    }
}

impl Evaluated {
    fn append(&self, run: &Path) -> anyhow::Result<()> {
        let line = EvalLine {
            images: self.images.unwrap_or_default(),
            teacher: self.teacher,
            metrics: self.metrics,
            extractor: self.extractor.name.clone(),
            of_the_paper: self.extractor.of_the_paper,
            samples: self.samples,
            reference_samples: self.reference_samples,
        };
        Ok(evals::append(run, &line)?)
    }

    fn text(&self) -> String {
        let Metrics { fid, kid, precision, recall } = self.metrics;
        let mut out = String::new();
        let seen = self.images.map(|n| format!(" ({} kimg)", n as f64 / 1000.0)).unwrap_or_default();
        let (a, b) = (self.a.source.display(), self.b.source.display());
        let _ = writeln!(out, "{a}{seen}, {} images, against {b}, {} images", self.samples, self.reference_samples);
        for (name, value, digits) in
            [("FID", fid, 4), ("KID", kid, 6), ("precision", precision, 4), ("recall", recall, 4)]
        {
            if let Some(value) = value {
                let _ = writeln!(out, "{name:<10} {value:.digits$}");
            }
        }
        let published = if self.extractor.of_the_paper { "" } else { ", not Inception's: not comparable with papers" };
        let _ =
            write!(out, "in {} ({} features{published}), {:.1} s", self.extractor.name, self.features, self.seconds);
        out
    }
}
