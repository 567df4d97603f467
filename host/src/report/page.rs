//! The page: one HTML file that needs nothing else.

use nickeldime_checkpoint::model::cost::{Cost, compression_rate};
use std::fmt::Write;

use super::{
    RunData,
    figures::{self, Figure},
    picture::data_address,
    plot::Shape,
    run::Embedding,
    scene::{colours_css, escape},
};
use crate::metrics::log::EvalLine;

/// The most grids of a run.
const GRIDS: usize = 9;

/// All figures of some runs, in the page's order.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Metrics against images seen.
    pub metrics: Vec<Figure>,
    /// The critics' mean logits.
    pub logits: Vec<Figure>,
    /// Losses.
    pub losses: Vec<Figure>,
}

impl Figures {
    /// Plots what the runs have logged.
    pub fn of(runs: &[RunData]) -> Self {
        type Value = fn(&EvalLine) -> Option<f64>;
        let kinds: [(&str, Value, bool); 4] = [
            ("FID", |l| l.metrics.fid, true),
            ("KID", |l| l.metrics.kid, false),
            ("Precision", |l| l.metrics.precision, false),
            ("Recall", |l| l.metrics.recall, false),
        ];
        let metrics = kinds.into_iter().flat_map(|(name, get, log)| figures::metric(runs, name, get, log)).collect();
        Self { metrics, logits: figures::logits(runs), losses: figures::losses(runs) }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.metrics.iter().chain(&self.logits).chain(&self.losses)
    }
}

/// The page about some runs.
///
/// # Errors
/// A grid that cannot be read: in words, with its file.
pub fn html(runs: &[RunData], figures: &Figures) -> Result<String, String> {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let names: Vec<&str> = runs.iter().map(|run| &run.name[..]).collect();
    let title = escape(&names.join(", "));
    let _ = writeln!(out, "<title>nickeldime: {title}</title>");
    let _ = writeln!(out, "<style>\n{}{}</style>\n</head>\n<body>", colours_css(), include_str!("style.css"));
    let plural = if runs.len() == 1 { "One run" } else { "Runs" };
    let _ = writeln!(out, "<h1>{plural}: {title}</h1>");
    out += &facts(runs);
    out += "<h2>Results</h2>\n";
    out += &table(runs);
    section(&mut out, "Metrics against images seen", METRICS_NOTE, &figures.metrics);
    section(&mut out, "Critics' mean logits", LOGITS_NOTE, &figures.logits);
    out += &grids(runs)?;
    section(&mut out, "Losses", "", &figures.losses);
    let _ = writeln!(out, "<footer>Made by nickeldime {}.</footer>\n</body>\n</html>", env!("CARGO_PKG_VERSION"));
    Ok(out)
}

const METRICS_NOTE: &str = "Every mark is one measurement; the lines only lead the eye. FID has a logarithmic axis.";
const LOGITS_NOTE: &str = "The teaching of both critics is in balance where their mean logits on real and on the \
                           student's images are near 0. All plots have the same vertical axis.";

/// The first lines: what distributions were matched in, and what they were measured in.
fn facts(runs: &[RunData]) -> String {
    let mut out = String::from("<div class=\"facts\">\n");
    for (names, text, paper) in together(runs, embeddings) {
        let class = if paper { "" } else { " class=\"warn\"" };
        let _ = writeln!(out, "<p{class}><b>Embeddings</b>{names}: {text}</p>");
    }
    for (names, text, paper) in together(runs, measured_in) {
        let class = if paper { "" } else { " class=\"warn\"" };
        let _ = writeln!(out, "<p{class}><b>Measured</b>{names}: {text}</p>");
    }
    out + "</div>\n"
}

/// What is said about runs, each sentence once: for whom (empty: for all), the sentence, and whether it is the paper's.
fn together(runs: &[RunData], say: fn(&RunData) -> (String, bool)) -> Vec<(String, String, bool)> {
    let mut said: Vec<(Vec<&str>, String, bool)> = Vec::new();
    for run in runs {
        let (text, paper) = say(run);
        match said.iter_mut().find(|(_, other, _)| *other == text) {
            Some((names, ..)) => names.push(&run.name),
            None => said.push((vec![&run.name], text, paper)),
        }
    }
    let alone = said.len() == 1;
    let names = |names: Vec<&str>| if alone { String::new() } else { format!(" of {}", escape(&names.join(", "))) };
    said.into_iter().map(|(who, text, paper)| (names(who), text, paper)).collect()
}

fn embeddings(run: &RunData) -> (String, bool) {
    let Some(used) = &run.record.embeddings else {
        return ("the run does not say which it used.".into(), false);
    };
    if used.is_empty() {
        return ("none, as no distributions are matched (no DiME).".into(), true);
    }
    let one = |e: &Embedding| {
        let file = e.path.file_name().unwrap_or(e.path.as_os_str()).to_string_lossy().into_owned();
        let file = if e.own { "trained by the run on its own images".into() } else { escape(&file) };
        let weight = e.weight.map(|w| format!(", weight {w}")).unwrap_or_default();
        let second = e.second_weight.map(|w| format!(" for first and {w} for second moments")).unwrap_or_default();
        format!("{} ({file}{weight}{second})", escape(&e.kind))
    };
    let list = used.iter().map(one).collect::<Vec<_>>().join(", ");
    let paper = used.iter().all(Embedding::is_of_the_paper);
    let comment = match paper {
        true => "as in the paper.",
        false => "<b>not the paper's</b> (DINO and CLIP ResNet-50).",
    };
    (format!("{list}; {comment}"), paper)
}

fn measured_in(run: &RunData) -> (String, bool) {
    let Some(last) = run.evals.last() else {
        return ("not yet (<code>nickeldime eval RUN --log</code>).".into(), false);
    };
    let extractors = figures::extractors(std::slice::from_ref(run));
    let paper = run.evals.iter().all(|line| line.of_the_paper);
    let comment = match paper {
        true => "Inception's features, as in published numbers.",
        false => "<b>not Inception's features</b>: to be compared within this page, not with published numbers.",
    };
    let counts = match last.reference_samples {
        0 => format!("{} images drawn", last.samples),
        reference => format!("{} images drawn, against {reference}", last.samples),
    };
    (format!("in {} ({counts}); {comment}", escape(&extractors.join(", "))), paper)
}

/// One row a run.
fn table(runs: &[RunData]) -> String {
    let heads = [
        ("run", "t"),
        ("method", "t"),
        ("ratio", ""),
        ("seen", ""),
        ("parameters", ""),
        ("MACs", ""),
        ("compression", ""),
        ("measured", ""),
        ("FID", ""),
        ("KID", ""),
        ("precision", ""),
        ("recall", ""),
        ("|D_S|", ""),
        ("|D_T|", ""),
    ];
    let mut out = String::from("<div class=\"wide\"><table>\n<tr>");
    for (head, class) in heads {
        let _ = write!(out, "<th class=\"{class}\">{head}</th>");
    }
    out += "</tr>\n";
    let mut teachers: Vec<&Cost> = Vec::new();
    for run in runs {
        let Some(teacher) = run.teacher.as_ref().filter(|teacher| !teachers.contains(teacher)) else { continue };
        teachers.push(teacher);
        let nothing = String::new;
        let cells = [nothing(), nothing(), nothing(), params(teacher), macs(teacher), "0 %".into(), nothing()];
        let measured = metrics(run.teacher_evals.last()).into_iter().chain([nothing(), nothing()]);
        row(&mut out, "teacher", cells.into_iter().chain(measured));
    }
    for run in runs {
        row(&mut out, &run.name, cells(run));
    }
    out + "</table></div>\n<p class=\"note\">FID, KID, precision and recall of the last evaluation. MACs for one image, \
           everything counted; the compression is the share of the teacher's MACs that is gone, in the paper's convention \
           (without toRGB). |D_S|, |D_T|: distance of the critics' mean logits from 0, mean over the second half of the \
           run.</p>\n"
}

fn row(out: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let _ = write!(out, "<tr><td>{}</td>", escape(name));
    for (n, cell) in cells.enumerate() {
        let class = if n == 0 { " class=\"t\"" } else { "" };
        let text = if cell.is_empty() { "\u{2013}" } else { &cell };
        let _ = write!(out, "<td{class}>{text}</td>");
    }
    *out += "</tr>\n";
}

fn cells(run: &RunData) -> impl Iterator<Item = String> + use<> {
    let last = run.evals.last();
    let seen = run.log.last().map(|l| l.images).or(last.map(|l| l.images));
    let rate = run.student.as_ref().zip(run.teacher.as_ref());
    let rate = rate.map(|(student, teacher)| format!("{:.2} %", compression_rate(&teacher.macs, &student.macs)));
    let logit = |get| figures::distance_from_equilibrium(&run.log, get).map(|x| format!("{x:.2}")).unwrap_or_default();
    [
        run.record.method.as_deref().map(escape).unwrap_or_default(),
        run.record.ratio.map(|r| r.to_string()).unwrap_or_default(),
        seen.map(kimg).unwrap_or_default(),
        run.student.as_ref().map(params).unwrap_or_default(),
        run.student.as_ref().map(macs).unwrap_or_default(),
        rate.unwrap_or_default(),
        last.map(|l| kimg(l.images)).unwrap_or_default(),
    ]
    .into_iter()
    .chain(metrics(last))
    .chain([logit(|l| l.student_logits), logit(|l| l.teacher_logits)])
}

/// The cells of an evaluation.
fn metrics(line: Option<&EvalLine>) -> [String; 4] {
    let metric = |get: fn(&EvalLine) -> Option<f64>, digits: usize| {
        line.and_then(get).map(|x| format!("{x:.digits$}")).unwrap_or_default()
    };
    [
        metric(|l| l.metrics.fid, 2),
        metric(|l| l.metrics.kid, 4),
        metric(|l| l.metrics.precision, 3),
        metric(|l| l.metrics.recall, 3),
    ]
}

/// Images seen, in thousands.
fn kimg(images: u64) -> String {
    format!("{} kimg", images as f64 / 1000.0)
}

fn params(cost: &Cost) -> String {
    large(cost.params.total)
}

fn macs(cost: &Cost) -> String {
    large(cost.macs.total)
}

/// A number with its digits in threes.
fn large(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Plots below a heading, and how their lines were made.
fn section(out: &mut String, title: &str, note: &str, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>{title}</h2>");
    let smoothing = smoothing(figures);
    if !note.is_empty() || !smoothing.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{note} {smoothing}</p>");
    }
    *out += "<div class=\"plots\">\n";
    for figure in figures {
        let _ = writeln!(out, "{}", figure.plot.scene().svg());
    }
    *out += "</div>\n";
}

/// What was averaged and left out, in words.
fn smoothing(figures: &[Figure]) -> String {
    let curves = figures.iter().flat_map(|f| &f.plot.lines).filter_map(|line| match &line.shape {
        Shape::Smoothed(curve) => Some(curve),
        Shape::Measured(_) => None,
    });
    let (mut windows, mut every) = (Vec::new(), Vec::new());
    for curve in curves {
        windows.push(curve.window);
        every.push(curve.every);
    }
    let range = |mut all: Vec<usize>| {
        all.sort_unstable();
        let (first, last) = (all.first().copied()?, all.last().copied()?);
        Some(if first == last { first.to_string() } else { format!("{first} to {last}") })
    };
    let one = every.iter().all(|&n| n == 1);
    if !windows.is_empty() && windows.iter().all(|&n| n == 1) {
        return "Every iteration, nothing smoothed.".into();
    }
    match (range(windows), range(every)) {
        (Some(window), _) if one => {
            format!("Faint dots: every iteration; lines: centred means of {window} of them.")
        }
        (Some(window), Some(every)) => {
            format!("Faint dots: one iteration in {every}; lines: centred means of {window} iterations.")
        }
        _ => String::new(),
    }
}

/// The same latents over time, beside the teacher's.
fn grids(runs: &[RunData]) -> Result<String, String> {
    let mut out = String::new();
    for run in runs.iter().filter(|run| !run.grids.is_empty()) {
        if out.is_empty() {
            out += "<h2>The same latents over time</h2>\n";
        }
        let _ = writeln!(out, "<h3>{}</h3>\n<div class=\"grids\">", escape(&run.name));
        if let Some(teacher) = &run.teacher_grid {
            figure(&mut out, " class=\"teacher\"", "teacher", teacher)?;
        }
        for (images, file) in spread(&run.grids, GRIDS) {
            figure(&mut out, "", &kimg(*images), file)?;
        }
        out += "</div>\n";
    }
    Ok(out)
}

fn figure(out: &mut String, class: &str, caption: &str, file: &std::path::Path) -> Result<(), String> {
    let address = data_address(file)?;
    let _ = writeln!(
        out,
        "<figure{class}><img alt=\"images, {caption}\" src=\"{address}\"><figcaption>{caption}</figcaption></figure>"
    );
    Ok(())
}

/// At most `most` of them, evenly, with the first and the last.
fn spread<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    (0..count).map(move |n| &all[n * (all.len() - 1) / (count - 1).max(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_grid_are_always_shown() {
        let all: Vec<usize> = (0..100).collect();
        let shown: Vec<usize> = spread(&all, 9).copied().collect();
        assert_eq!((shown.len(), shown[0], shown[8]), (9, 0, 99));
        assert_eq!(spread(&all[..1], 9).count(), 1);
        assert_eq!(spread(&all[..3], 9).copied().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn large_numbers_have_their_digits_in_threes() {
        assert_eq!(large(1_234_567).replace('\u{202f}', " "), "1 234 567");
        assert_eq!(large(999), "999");
    }
}
