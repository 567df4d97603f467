//! `nickeldime report`: shows runs on one page.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use nickeldime_checkpoint::{self as checkpoint, files, model::cost::Cost};
use serde::Serialize;

use super::{
    model::read_checkpoint,
    outputs::{self, Format},
};
use crate::{
    report::{
        RunData, names,
        page::{self, Figures},
    },
    run::student_of,
};

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// The runs' folders.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page to write: one HTML file that needs no other file.
    #[arg(short, long, default_value = "report.html", value_name = "HTML")]
    output: PathBuf,
    /// Also write the plots as PNG files, into a folder beside the page.
    #[arg(long)]
    png: bool,
    /// Also write the plots as SVG files, into the same folder.
    #[arg(long)]
    svg: bool,
    /// The teacher (a checkpoint or a run), for the compression rate, if the runs do not name it or it has moved.
    #[arg(long)]
    teacher: Option<PathBuf>,
}

#[derive(Serialize)]
struct Reported {
    report: PathBuf,
    runs: Vec<String>,
    bytes: usize,
    /// The files of the plots.
    plots: Vec<PathBuf>,
}

pub fn run(args: &ReportArgs, json: bool) -> anyhow::Result<()> {
    outputs::file(&args.output, Format::Html)?;
    let names = names(&args.runs);
    let runs = args
        .runs
        .iter()
        .zip(&names)
        .map(|(folder, name)| {
            let mut data = RunData::read(folder, name.clone())?;
            data.student = cost(&student_of(folder));
            // A teacher that was asked for must exist; one that a run remembers may have moved.
            data.teacher = match (&args.teacher, &data.record.teacher) {
                (Some(path), _) => Some(Cost::of(&read_checkpoint(path)?.generator.arch)),
                (None, Some(path)) => cost(path),
                (None, None) => None,
            };
            Ok(data)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let figures = Figures::of(&runs);
    let html = page::html(&runs, &figures).map_err(|problem| anyhow!(problem))?;
    write(&args.output, html.as_bytes())?;
    let plots = args.write_plots(&figures)?;
    let reported = Reported { report: args.output.clone(), runs: names, bytes: html.len(), plots };
    super::print(json, &reported, || {
        let plots = match reported.plots.len() {
            0 => String::new(),
            n => format!(", {n} plots beside it"),
        };
        format!("{}: {} runs, {} kB{plots}", args.output.display(), reported.runs.len(), reported.bytes.div_ceil(1000))
    })
}

impl ReportArgs {
    /// Writes the plots into `report-plots/` beside `report.html`.
    fn write_plots(&self, figures: &Figures) -> anyhow::Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        if !(self.png || self.svg) {
            return Ok(written);
        }
        let mut name = self.output.file_stem().unwrap_or_default().to_os_string();
        name.push("-plots");
        let folder = self.output.with_file_name(name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for figure in figures.all() {
            let scene = figure.plot.scene();
            let file = |extension: &str| folder.join(format!("{}.{extension}", figure.name));
            if let Some(picture) = scene.picture().filter(|_| self.png) {
                picture.write(&file("png"))?;
                written.push(file("png"));
            }
            if self.svg {
                write(&file("svg"), scene.svg_file().as_bytes())?;
                written.push(file("svg"));
            }
        }
        Ok(written)
    }
}

/// The cost of a checkpoint's generator; `None` if the checkpoint cannot be read.
fn cost(path: &Path) -> Option<Cost> {
    checkpoint::open(path).ok().map(|checkpoint| Cost::of(&checkpoint.generator.arch))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    files::replace(path, |out| out.write_all(bytes)).with_context(|| path.display().to_string())
}
