//! The figures of a report, made of what the runs have logged.

use super::{
    RunData,
    plot::{Line, Plot, Shape},
    scene::{COLOURS, Dash},
    series::{Curve, Points},
};
use crate::run::{EvalLine, LoggedIteration, LoggedLogits};

/// A figure of a report.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The figure's file name without an extension, for example `fid-small-e0c888e9`.
    pub name: String,
    /// The plot itself.
    pub plot: Plot,
}

/// The colour and the dashes of every run. Runs of one method share a colour and differ in their dashes.
fn looks(runs: &[RunData]) -> Vec<(usize, Dash)> {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    let mut found = Vec::new();
    for run in runs {
        let group = run.record.method.as_deref().unwrap_or(&run.name);
        let colour = groups.iter().position(|(name, _)| *name == group).unwrap_or(groups.len());
        if colour == groups.len() {
            groups.push((group, 0));
        }
        let member = &mut groups[colour].1;
        // A method that must reuse another one's colour starts with other dashes.
        found.push((colour, Dash::nth(*member + colour / COLOURS)));
        *member += 1;
    }
    found
}

/// The mean logits of both critics, with one figure for each run and critic. All figures have the same vertical axis,
/// so that they can be compared. A critic that a run has not logged has no figure.
pub fn logits(runs: &[RunData]) -> Vec<Figure> {
    type Get = fn(&LoggedIteration) -> Option<LoggedLogits>;
    let critics: [(&str, &str, Get); 2] = [
        ("student", "D_S, the student's critic", |l| l.student_logits),
        ("teacher", "D_T, the teacher's critic", |l| l.teacher_logits),
    ];
    let mut figures = Vec::new();
    for run in runs {
        for (short, long, get) in critics {
            let curve = |of: fn(LoggedLogits) -> Option<f64>| {
                let points = run.log.iter().filter_map(|l| Some((kimg(l.images), of(get(l)?)?)));
                Curve::of(points.collect())
            };
            let (real, fake) = (curve(|l| l.real), curve(|l| l.fake));
            if real.line.is_empty() && fake.line.is_empty() {
                continue;
            }
            let line = |name: &str, colour, dash, curve| Line {
                name: name.into(),
                colour,
                dash,
                shape: Shape::Smoothed(curve),
            };
            figures.push(Figure {
                name: format!("logits-{}-{short}-critic", slug(&run.name)),
                plot: Plot {
                    title: format!("{}: {long}", run.name),
                    y_label: "mean logit".into(),
                    log: false,
                    goal: Some((0.0, "equilibrium".into())),
                    also: Vec::new(),
                    lines: vec![
                        line("real images", 0, Dash::Solid, real),
                        line("student's images", 1, Dash::Solid, fake),
                    ],
                },
            });
        }
    }
    let all: Vec<f64> =
        figures.iter().flat_map(|f| &f.plot.lines).flat_map(|l| l.shape.points().map(|p| p.1)).collect();
    let ends = [all.iter().copied().fold(0.0, f64::min), all.iter().copied().fold(0.0, f64::max)];
    figures.iter_mut().for_each(|figure| figure.plot.also = ends.into());
    figures
}

/// A metric against images seen, with all runs in one plot. Numbers of different extractors cannot be compared, so each
/// extractor has its own figure. `metric` is the name: `FID`, `KID`, ...
pub fn metric(runs: &[RunData], metric: &str, get: fn(&EvalLine) -> Option<f64>, log: bool) -> Vec<Figure> {
    let looks = looks(runs);
    extractors(runs)
        .into_iter()
        .filter_map(|extractor| {
            let lines: Vec<Line> = runs
                .iter()
                .zip(&looks)
                .filter_map(|(run, &(colour, dash))| {
                    let points = latest(run, &extractor).filter_map(|l| Some((kimg(l.images), get(l)?)));
                    let points: Points = points.filter(|(_, y)| y.is_finite()).collect();
                    let shape = Shape::Measured(points);
                    let shown = shape.points().next().is_some();
                    shown.then(|| Line { name: run.name.clone(), colour, dash, shape })
                })
                .collect();
            // All runs of a report measure the same teacher in the same extractor, so any run's value serves.
            let teacher = runs.iter().flat_map(|run| &run.teacher_evals).find(|line| line.extractor == extractor);
            let goal = teacher.and_then(get).filter(|y| y.is_finite()).map(|y| (y, "teacher".to_string()));
            let figure = || Figure {
                name: format!("{}-{}", slug(metric), slug(&extractor)),
                plot: Plot {
                    title: format!("{metric} in {extractor}"),
                    y_label: if log { format!("{metric}, logarithmic") } else { metric.into() },
                    log,
                    goal: goal.clone(),
                    also: if log { Vec::new() } else { vec![0.0] },
                    lines: lines.clone(),
                },
            };
            (!lines.is_empty()).then(figure)
        })
        .collect()
}

/// The names of the extractors that any of the runs was measured in, sorted.
pub fn extractors(runs: &[RunData]) -> Vec<String> {
    let all = runs.iter().flat_map(|run| &run.evals).map(|line| line.extractor.clone());
    let sorted: std::collections::BTreeSet<String> = all.collect();
    sorted.into_iter().collect()
}

/// A run's evaluations in one extractor, ordered by images seen. If a student was measured twice, the later evaluation
/// counts.
pub fn latest<'a>(run: &'a RunData, extractor: &str) -> impl Iterator<Item = &'a EvalLine> {
    let mut kept: Vec<&EvalLine> = Vec::new();
    for line in run.evals.iter().filter(|line| line.extractor == extractor) {
        match kept.last_mut() {
            Some(last) if last.images == line.images => *last = line,
            _ => kept.push(line),
        }
    }
    kept.into_iter()
}

/// One figure for each loss, with all runs in one plot. A loss that no run has logged is left out.
pub fn losses(runs: &[RunData]) -> Vec<Figure> {
    /// Drops the zeros that a run logs in iterations in which the loss was not computed.
    fn taken(x: Option<f64>) -> Option<f64> {
        x.filter(|&x| x != 0.0)
    }
    type Get = fn(&LoggedIteration) -> Option<f64>;
    let kinds: [(&str, &str, bool, Get); 11] = [
        ("feedback", "Critics' feedback to the student", false, |l| l.feedback),
        ("dime", "DiME: moments in the embeddings", false, |l| taken(l.dime)),
        ("l1", "Distance to the teacher's image", false, |l| taken(l.l1)),
        ("perceptual", "Perceptual distance to the teacher's image", false, |l| taken(l.perceptual)),
        ("relation", "Relations between samples", false, |l| taken(l.relation)),
        ("energy", "Bound on shared information", false, |l| taken(l.energy)),
        ("student-critic", "D_S: logistic loss", false, |l| l.student_critic),
        ("teacher-critic", "D_T: logistic loss", false, |l| taken(l.teacher_critic)),
        ("matching", "NICKEL: wavelet feature matching", true, |l| taken(l.matching)),
        ("path", "Path length penalty", true, |l| taken(l.path)),
        ("r1", "R1, both critics", true, |l| taken(l.r1)),
    ];
    let looks = looks(runs);
    let figure = |(short, title, log, get): (&str, &str, bool, Get)| {
        let lines: Vec<Line> = runs
            .iter()
            .zip(&looks)
            .filter_map(|(run, &(colour, dash))| {
                let points = run.log.iter().filter_map(|l| Some((kimg(l.images), get(l)?)));
                let curve = Curve::of(points.collect());
                let shown = !curve.line.is_empty();
                shown.then(|| Line { name: run.name.clone(), colour, dash, shape: Shape::Smoothed(curve) })
            })
            .collect();
        let y_label = if log { "loss, logarithmic" } else { "loss" };
        let plot = Plot { title: title.into(), y_label: y_label.into(), log, goal: None, also: Vec::new(), lines };
        (!plot.lines.is_empty()).then(|| Figure { name: format!("loss-{short}"), plot })
    };
    kinds.into_iter().filter_map(figure).collect()
}

/// A critic's distance from its equilibrium: the mean of |logit| on real and fake images over the second half of the
/// run.
pub fn distance_from_equilibrium(
    log: &[LoggedIteration],
    get: fn(&LoggedIteration) -> Option<LoggedLogits>,
) -> Option<f64> {
    let half = &log[log.len() / 2..];
    let values: Vec<f64> = half
        .iter()
        .filter_map(get)
        .filter_map(|l| Some((l.real?.abs() + l.fake?.abs()) / 2.0))
        .filter(|x| x.is_finite())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn kimg(images: u64) -> f64 {
    images as f64 / 1000.0
}

/// A name in the letters, digits and hyphens that a file name may have.
pub fn slug(name: &str) -> String {
    let text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "run".into() } else { parts.join("-") }
}
