//! `nickeldime demo`: runs the whole journey on data that the command carries.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use nickeldime_checkpoint::{self as checkpoint, Checkpoint, write_checkpoint};
use nickeldime_core::pack::Pack;
use nickeldime_fixtures::digits32::{EMBEDDER, IMAGES_ZIP, TEACHER_PKL};
use nickeldime_link::Client;
use serde::Serialize;

use super::{
    Interrupted,
    model::read_pack,
    pack::pack_to,
    progress::{Bar, say, stop_on_ctrl_c},
};
use crate::{
    backend::{Cpu, CpuTraining},
    compress::{
        bank::TeacherSide,
        error::CompressError,
        inputs::Inputs,
        iterate::train,
        moments::{BATCH, GlobalMoments, Sampling},
        pipeline::{Start, prepare},
        settings::Settings,
    },
    data::Dataset,
    draw::{DrawRequest, Latents, NoiseMode, Preview},
    embed::{
        EmbedderWeights,
        spec::{EmbedSpec, Kind},
    },
    emulate::{BoardKind, VirtualBoard},
    progress::Progress,
    quantise::PackOptions,
    run::drive::student,
};

/// The number of images in each grid.
const SHOWN: u64 = 16;
const COLUMNS: usize = 8;

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// The folder to write the student, the pack and the grids to.
    #[arg(short, long, default_value = "demo")]
    output: PathBuf,
    /// The board to draw on: qemu-m4 (emulated), or host (the device code in this process). Default: qemu-m4 if it can
    /// run here.
    #[arg(long)]
    board: Option<BoardKind>,
    /// The length of the distillation, in thousands of images.
    #[arg(long, default_value_t = 1.6)]
    kimg: f64,
}

#[derive(Serialize)]
struct Shown {
    student: PathBuf,
    pack: PathBuf,
    pack_bytes: usize,
    ram_bytes: usize,
    psnr_db: f64,
    psnr_worst_db: f64,
    host_sha256: String,
    device_sha256: String,
    device: String,
    board: String,
    grids: [PathBuf; 4],
    seconds: f64,
}

pub fn run(args: &DemoArgs, json: bool) -> anyhow::Result<()> {
    stop_on_ctrl_c();
    let started = std::time::Instant::now();
    let folder = &args.output;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let (kind, missing) = match args.board {
        Some(kind) => {
            kind.check()?;
            (kind, None)
        }
        None => BoardKind::best(),
    };
    if let Some(missing) = &missing {
        say(format_args!("no emulated board here: {missing}"));
    }
    let mut bar = Bar::new();

    say(format_args!("1/4  teacher: a StyleGAN2 of 32x32 digits, from its .pkl"));
    let teacher = checkpoint::from_bytes(Path::new("the demo's teacher"), TEACHER_PKL)?;
    let latents = Latents::Seeds((0..SHOWN).collect());
    let drawing = DrawRequest { latents: &latents, psi: 1.0, noise: Some(NoiseMode::Const) };
    let grid = |name: &str| folder.join(format!("{name}.png"));
    let grids = ["teacher", "student", "host", "device"].map(grid);
    let [teacher_grid, student_grid, host_grid, device_grid] = &grids;
    let drawn = drawing.in_float(&Preview::new(&teacher.generator)?, &mut bar)?;
    drawn.write_grid(teacher_grid, COLUMNS)?;

    say(format_args!("2/4  student: 70 % of the channels pruned, then NICKEL & DiME"));
    let student_path = folder.join("student.safetensors");
    distil(&teacher, &student_path, args.kimg, &mut bar)?;
    let student = checkpoint::open(&student_path)?.generator;
    let drawn = drawing.in_float(&Preview::new(&student)?, &mut bar)?;
    drawn.write_grid(student_grid, COLUMNS)?;

    say(format_args!("3/4  pack: 8-bit weights, 16-bit activations"));
    let options = PackOptions { name: "digits32 demo".into(), ..PackOptions::for_noise(NoiseMode::Const) };
    let packed = pack_to(&student, options, NoiseMode::Const, 0, None, &folder.join("student.ndm"), &mut bar)?;
    let bytes = read_pack(&packed.pack)?;
    let host = drawing.in_integers(&Pack::open(&bytes)?, &mut bar)?;
    host.write_grid(host_grid, COLUMNS)?;

    say(format_args!("4/4  device: {}", kind.description()));
    let board = VirtualBoard::start(kind)?;
    let mut client = Client::open(&board.port().to_string_lossy())?;
    bar.begin("sending", "B", bytes.len() as u64);
    client.upload(&bytes, &mut |done, _| bar.at(done, ""))?;
    bar.end();
    let device = drawing.on_device(&mut client, &mut bar)?;
    device.write_grid(device_grid, COLUMNS)?;

    let shown = Shown {
        student: student_path,
        pack: packed.pack.clone(),
        pack_bytes: packed.pack_bytes,
        ram_bytes: packed.ram_bytes,
        psnr_db: packed.psnr_db,
        psnr_worst_db: packed.psnr_worst_db,
        host_sha256: host.sha256(),
        device_sha256: device.sha256(),
        device: kind.description().into(),
        board: kind.name().into(),
        grids: grids.clone(),
        seconds: started.elapsed().as_secs_f64(),
    };
    super::print(json, &shown, || {
        let mut text = format!("{}\n", packed.text());
        for (grid, what) in
            grids.iter().zip(["the teacher", "the float student", "its integers, here", "its integers, there"])
        {
            text += &format!("grid   {}  ({what})\n", grid.display());
        }
        text += &format!("host   SHA-256 {}\ndevice SHA-256 {}\n", shown.host_sha256, shown.device_sha256);
        text += &format!("device {}", kind.description());
        if let Some(missing) = &missing {
            text += &format!("\nfor the emulated board: {missing}");
        }
        text
    })?;
    ensure!(
        shown.host_sha256 == shown.device_sha256,
        "the device's images are not the host's: please report this, with the pack"
    );
    Ok(())
}

/// Prunes and distils the teacher, and writes the student.
fn distil(teacher: &Checkpoint, student_path: &Path, kimg: f64, progress: &mut dyn Progress) -> anyhow::Result<()> {
    // The data is written to files first, because the readers take files.
    let shipped = tempfile::tempdir().context("a temporary folder for the demo's data")?;
    let place = |name: &str, bytes: &[u8]| -> anyhow::Result<PathBuf> {
        let path = shipped.path().join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    let data = Dataset::open(&place("digits32.zip", IMAGES_ZIP)?)?;
    let embedder = EmbedSpec::new(Kind::Small, place("embedder.safetensors", EMBEDDER)?);
    say(format_args!("     embedding {embedder}"));
    let settings = Settings {
        ratio: 0.7,
        score_samples: 128,
        moment_samples: 1024,
        kimg,
        batch: 16,
        gamma: 0.1,
        ema_kimg: 0.3,
        // Mirrored digits are not valid digits.
        mirror: false,
        ..Settings::default()
    };
    let embedders = [EmbedderWeights::read(&embedder)?];
    let sampling = Sampling { samples: settings.moment_samples, seed: 0, batch: BATCH };
    let moments =
        GlobalMoments::measure::<Cpu>(&teacher.generator, &embedders, sampling, &Default::default(), progress)?;
    let inputs = Inputs { teacher, data: &data, embeds: &embedders, masks: Vec::new() };
    let mut trainer = prepare::<CpuTraining>(
        inputs,
        &TeacherSide::Moments(moments),
        &settings,
        Start::Fresh,
        &Default::default(),
        progress,
    )?;
    train(&mut trainer, &data, progress, |_, _| Ok::<_, CompressError>(()))?;
    let checkpoint = Checkpoint::of_generator(student(&trainer)?);
    write_checkpoint(student_path, &checkpoint, &Default::default())?;
    if !trainer.finished() {
        return Err(Interrupted("stopped in mid-training; the student so far is saved".into()).into());
    }
    Ok(())
}
