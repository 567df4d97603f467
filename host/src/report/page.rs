//! The page of a report: one HTML file that fetches nothing.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use nickeldime_checkpoint::model::cost::{Cost, compression_rate};

use super::{
    RunData,
    figures::{self, Figure},
    picture::data_address,
    plot::Shape,
    scene::colours_css,
};
use crate::run::{Embedding, EvalLine, log::images_a_second};

/// The largest number of grids that are shown for one run.
const GRIDS: usize = 9;

/// All figures of some runs, in the page's order.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Metrics against images seen.
    pub metrics: Vec<Figure>,
    /// The critics' mean logits.
    pub logits: Vec<Figure>,
    /// The training's losses.
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

    /// All figures, in the page's order.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.metrics.iter().chain(&self.logits).chain(&self.losses)
    }
}

/// The page about some runs.
///
/// # Errors
/// A grid that cannot be read; the text names its file.
pub fn html(runs: &[RunData], figures: &Figures) -> Result<String, String> {
    let names: Vec<&str> = runs.iter().map(|run| &run.name[..]).collect();
    let title = names.join(", ");
    let style = format!("\n{}{}", colours_css(), include_str!("style.css"));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "nickeldime: " (title) }
                style { (PreEscaped(style)) }
            }
            body {
                h1 { @if runs.len() == 1 { "One run: " } @else { "Runs: " } (title) }
                (facts(runs))
                h2 { "Results" }
                (table(runs))
                (section("Metrics against images seen", METRICS_NOTE, &figures.metrics))
                (section("Critics' mean logits", LOGITS_NOTE, &figures.logits))
                (side_by_side(runs)?)
                (grids(runs)?)
                (section("Losses", "", &figures.losses))
                footer { "Made by nickeldime " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    };
    Ok(page.into_string())
}

const METRICS_NOTE: &str = "Every mark is one measurement; the lines only lead the eye. FID has a logarithmic axis.";
const LOGITS_NOTE: &str = "The training of both critics is in balance where their mean logits on real images and on the \
                           student's images are near 0. All plots have the same vertical axis.";

/// What is said about a run.
type Say = fn(&RunData) -> Fact;

/// What the page says of each run before its results.
const TOPICS: [(&str, Say); 3] =
    [("Embeddings", embeddings), ("Substitutions", substitutions), ("Measured", measured_in)];

/// The first lines of the page: the embeddings that distributions were matched in, what stands in for parts of a
/// published method, and the features that metrics used.
fn facts(runs: &[RunData]) -> Markup {
    html! {
        div class="facts" {
            @for (topic, say) in TOPICS {
                @for (names, fact) in together(runs, say) {
                    p class=[(!fact.paper).then_some("warn")] { b { (topic) } (names) ": " (fact.text) }
                }
            }
        }
    }
}

/// One sentence about a run.
struct Fact {
    text: Markup,
    /// True if the run did what the paper does.
    paper: bool,
}

/// Facts about runs, each sentence once, with the names of its runs (empty if the sentence holds for all runs).
fn together(runs: &[RunData], say: fn(&RunData) -> Fact) -> Vec<(String, Fact)> {
    let mut said: Vec<(Vec<&str>, Fact)> = Vec::new();
    for run in runs {
        let fact = say(run);
        match said.iter_mut().find(|(_, other)| other.text.0 == fact.text.0) {
            Some((names, _)) => names.push(&run.name),
            None => said.push((vec![&run.name], fact)),
        }
    }
    let alone = said.len() == 1;
    let names = |names: Vec<&str>| if alone { String::new() } else { format!(" of {}", names.join(", ")) };
    said.into_iter().map(|(who, fact)| (names(who), fact)).collect()
}

fn embeddings(run: &RunData) -> Fact {
    let Some(used) = &run.record.embeddings else {
        return Fact { text: html! { "the run does not say which it used." }, paper: false };
    };
    if used.is_empty() {
        return Fact { text: html! { "none, as no distributions are matched (no DiME)." }, paper: true };
    }
    let one = |e: &Embedding| {
        let file = e.path.file_name().unwrap_or(e.path.as_os_str()).to_string_lossy().into_owned();
        let file = if e.own { "trained by the run on its own images".into() } else { file };
        let weight = e.weight.map(|w| format!(", weight {w}")).unwrap_or_default();
        let second = e.second_weight.map(|w| format!(" for first and {w} for second moments")).unwrap_or_default();
        format!("{} ({file}{weight}{second})", e.kind)
    };
    let list = used.iter().map(one).collect::<Vec<_>>().join(", ");
    let paper = used.iter().all(Embedding::is_of_the_paper);
    let text = html! {
        (list) "; "
        @if paper { "as in the paper." } @else { b { "not the paper's" } " (DINO and CLIP ResNet-50)." }
    };
    Fact { text, paper }
}

fn substitutions(run: &RunData) -> Fact {
    let all = &run.record.substitutions;
    let text = html! { @if all.is_empty() { "none." } @else { (all.join("; ")) "." } };
    Fact { text, paper: all.is_empty() }
}

fn measured_in(run: &RunData) -> Fact {
    let Some(last) = run.evals.last() else {
        return Fact { text: html! { "not yet (" code { "nickeldime eval RUN --log" } ")." }, paper: false };
    };
    let extractors = figures::extractors(std::slice::from_ref(run)).join(", ");
    let paper = run.evals.iter().all(|line| line.of_the_paper);
    let against = match last.reference_samples {
        0 => String::new(),
        reference => format!(", against {reference}"),
    };
    let text = html! {
        "in " (extractors) " (" (last.samples) " images drawn" (against) "); "
        @if paper {
            "Inception's features, as in published numbers."
        } @else {
            b { "not Inception's features" } ": compare within this page only, not with published numbers."
        }
    };
    Fact { text, paper }
}

/// The table of results: one row for each distinct teacher, then one row for each run.
fn table(runs: &[RunData]) -> Markup {
    const HEADS: [&str; 15] = [
        "run",
        "method",
        "ratio",
        "seen",
        "images/s",
        "parameters",
        "MACs",
        "compression",
        "measured",
        "FID",
        "KID",
        "precision",
        "recall",
        "|D_S|",
        "|D_T|",
    ];
    let mut teachers: Vec<(&Cost, &RunData)> = Vec::new();
    for run in runs {
        if let Some(teacher) = run.teacher.as_ref().filter(|cost| !teachers.iter().any(|(other, _)| other == cost)) {
            teachers.push((teacher, run));
        }
    }
    html! {
        div class="wide" {
            table {
                tr { @for (n, head) in HEADS.iter().enumerate() { th class=[(n < 2).then_some("t")] { (head) } } }
                @for (teacher, run) in teachers { (row("teacher", &teacher_cells(teacher, run))) }
                @for run in runs { (row(&run.name, &cells(run))) }
            }
        }
        p class="note" {
            "FID, KID, precision and recall are those of the last evaluation. MACs are for one image, with everything counted. The "
            "compression is the share of the teacher's MACs that was removed, in the paper's convention (without toRGB). |D_S| and |D_T| "
            "are the distances of the critics' mean logits from 0, averaged over the second half of the run. Images a second are those of "
            "training on the run's own computer, without snapshots."
        }
    }
}

fn row(name: &str, cells: &[String]) -> Markup {
    html! {
        // Each row on a line of its own, for people who read the source.
        "\n"
        tr {
            td { (name) }
            @for (n, cell) in cells.iter().enumerate() {
                td class=[(n == 0).then_some("t")] { @if cell.is_empty() { "\u{2013}" } @else { (cell) } }
            }
        }
    }
}

/// The cells of a teacher, whose evaluations are logged by `run`.
fn teacher_cells(teacher: &Cost, run: &RunData) -> Vec<String> {
    let nothing = String::new;
    let cells = [nothing(), nothing(), nothing(), nothing(), params(teacher), macs(teacher), "0 %".into(), nothing()];
    cells.into_iter().chain(metrics(run.teacher_evals.last())).chain([nothing(), nothing()]).collect()
}

/// The cells of a run, in the order of the table's heads.
fn cells(run: &RunData) -> Vec<String> {
    let last = run.evals.last();
    let seen = run.log.last().map(|l| l.images).or(last.map(|l| l.images));
    let rate = run.student.as_ref().zip(run.teacher.as_ref());
    let rate = rate.map(|(student, teacher)| format!("{:.2} %", compression_rate(&teacher.macs, &student.macs)));
    let logit = |get| figures::distance_from_equilibrium(&run.log, get).map(|x| format!("{x:.2}")).unwrap_or_default();
    [
        run.record.method.clone().unwrap_or_default(),
        run.record.ratio.map(|r| r.to_string()).unwrap_or_default(),
        seen.map(kimg).unwrap_or_default(),
        images_a_second(&run.log).map(|rate| format!("{rate:.1}")).unwrap_or_default(),
        run.student.as_ref().map(params).unwrap_or_default(),
        run.student.as_ref().map(macs).unwrap_or_default(),
        rate.unwrap_or_default(),
        last.map(|l| kimg(l.images)).unwrap_or_default(),
    ]
    .into_iter()
    .chain(metrics(last))
    .chain([logit(|l| l.student_logits), logit(|l| l.teacher_logits)])
    .collect()
}

/// FID, KID, precision and recall of an evaluation; empty where it did not measure one.
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

/// Images seen, in thousands, with the unit.
fn kimg(images: u64) -> String {
    format!("{} kimg", images as f64 / 1000.0)
}

fn params(cost: &Cost) -> String {
    large(cost.params.total)
}

fn macs(cost: &Cost) -> String {
    large(cost.macs.total)
}

/// A number in decimal, its digits grouped in threes by narrow spaces.
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

/// Plots below a heading, with a note on how their lines were made; nothing if there are no plots.
fn section(title: &str, note: &str, figures: &[Figure]) -> Markup {
    let note =
        [note, &smoothing(figures)].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join(" ");
    html! {
        @if !figures.is_empty() {
            h2 { (title) }
            @if !note.is_empty() { p class="note" { (note) } }
            div class="plots" { @for figure in figures { (PreEscaped(figure.plot.scene().svg())) } }
        }
    }
}

/// A sentence that says what was averaged and what was left out.
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

/// The last images of every run beside one another and beside each teacher's. All runs of one teacher draw the same
/// latents.
///
/// # Errors
/// A grid that cannot be read; the text names its file.
fn side_by_side(runs: &[RunData]) -> Result<Markup, String> {
    let last: Vec<_> = runs.iter().filter_map(|run| Some((run, run.grids.last()?))).collect();
    if last.len() < 2 {
        return Ok(html! {});
    }
    // Runs of one teacher have the same grid of it, each its own copy.
    let mut teachers: Vec<String> = Vec::new();
    for grid in runs.iter().filter_map(|run| run.teacher_grid.as_deref()) {
        let address = data_address(grid)?;
        if !teachers.contains(&address) {
            teachers.push(address);
        }
    }
    Ok(html! {
        h2 { "The same latents, side by side" }
        div class="grids beside" {
            @for address in &teachers { (figure_of(Some("teacher"), "teacher", address)) }
            @for (run, (images, file)) in last { (figure(None, &format!("{}, {}", run.name, kimg(*images)), file)?) }
        }
    })
}

/// The images of the same latents over time, beside the teacher's.
///
/// # Errors
/// A grid that cannot be read; the text names its file.
fn grids(runs: &[RunData]) -> Result<Markup, String> {
    let shown: Vec<&RunData> = runs.iter().filter(|run| !run.grids.is_empty()).collect();
    Ok(html! {
        @if !shown.is_empty() { h2 { "The same latents over time" } }
        @for run in shown {
            h3 { (run.name) }
            div class="grids" {
                @if let Some(teacher) = &run.teacher_grid { (figure(Some("teacher"), "teacher", teacher)?) }
                @for (images, file) in spread(&run.grids, GRIDS) { (figure(None, &kimg(*images), file)?) }
            }
        }
    })
}

fn figure(class: Option<&str>, caption: &str, file: &Path) -> Result<Markup, String> {
    Ok(figure_of(class, caption, &data_address(file)?))
}

fn figure_of(class: Option<&str>, caption: &str, address: &str) -> Markup {
    html! {
        figure class=[class] { img alt={ "images, " (caption) } src=(address); figcaption { (caption) } }
    }
}

/// At most `most` elements, evenly spaced, including the first and the last.
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
