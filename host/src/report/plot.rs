//! A plot of curves over images seen.

use super::{
    axis::Axis,
    scene::{Anchor, Dash, Mark, Point, Role, Scene},
    series::{Curve, Points},
};

/// The description of a plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The title above the plot.
    pub title: String,
    /// The label of the vertical axis.
    pub y_label: String,
    /// True for a logarithmic vertical axis; it is used only if all values are above 0.
    pub log: bool,
    /// A horizontal line that is always shown: its level and its name in the legend.
    pub goal: Option<(f64, String)>,
    /// Further values that the vertical axis covers, so that several plots have the same axis.
    pub also: Vec<f64>,
    /// The curves, in the order of the legend.
    pub lines: Vec<Line>,
}

/// A curve and how it looks.
#[derive(Debug, Clone)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// The colour, as the number of a series.
    pub colour: usize,
    /// The dashes of the curve.
    pub dash: Dash,
    /// The points of the curve.
    pub shape: Shape,
}

/// The points of a curve.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A value for each iteration, drawn as faint dots with a line of means.
    Smoothed(Curve),
    /// A few measurements, each drawn as a mark.
    Measured(Points),
}

impl Shape {
    fn line(&self) -> &Points {
        match self {
            Self::Smoothed(curve) => &curve.line,
            Self::Measured(points) => points,
        }
    }

    /// All points that are drawn, as dots or as a line.
    pub fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        let dots = match self {
            Self::Smoothed(curve) => curve.dots.as_slice(),
            Self::Measured(_) => &[],
        };
        self.line().iter().chain(dots)
    }
}

/// Width and height of a plot, in units of the drawing.
const SIZE: (f32, f32) = (520.0, 320.0);
/// Margins around the area with the curves.
const LEFT: f32 = 66.0;
const RIGHT: f32 = 14.0;
const BOTTOM: f32 = 46.0;
/// Height of a line of the legend.
const LEGEND: f32 = 17.0;
/// Font sizes.
const TITLE: f32 = 14.0;
const LABEL: f32 = 11.5;

impl Plot {
    /// Draws the plot.
    pub fn scene(&self) -> Scene {
        let (width, height) = SIZE;
        let mut marks = vec![text((14.0, 20.0), &self.title, Role::Ink, TITLE, Anchor::Start)];
        let top = 30.0 + self.legend(&mut marks, 36.0) + 10.0;
        let area = Area { left: LEFT, right: width - RIGHT, top, bottom: height - BOTTOM };

        let points = || self.lines.iter().flat_map(|line| line.shape.points());
        let x = Axis::over(points().map(|p| p.0).chain([0.0]), false);
        let goal = self.goal.iter().map(|(level, _)| *level);
        let y = Axis::over(points().map(|p| p.1).chain(goal).chain(self.also.iter().copied()), self.log);
        let at = |&(px, py): &(f64, f64)| area.at(x.place(px), y.place(py));

        self.grid(&mut marks, &area, x, y);
        for line in &self.lines {
            if let Shape::Smoothed(curve) = &line.shape {
                let points = curve.dots.iter().map(at).collect();
                marks.push(Mark::Dots { points, role: Role::Series(line.colour), radius: 1.3, opacity: 0.22 });
            }
        }
        if let Some((level, _)) = &self.goal {
            let points = [0.0, 1.0].map(|px| area.at(px, y.place(*level))).into();
            marks.push(Mark::Line { points, role: Role::Goal, width: 1.6, dash: Dash::Dashed });
        }
        for line in &self.lines {
            let points: Vec<Point> = line.shape.line().iter().map(at).collect();
            let role = Role::Series(line.colour);
            if let Shape::Measured(_) = line.shape {
                marks.push(Mark::Dots { points: points.clone(), role, radius: 3.2, opacity: 1.0 });
            }
            marks.push(Mark::Line { points, role, width: 2.0, dash: line.dash });
        }
        Scene { width, height, title: self.title.clone(), marks }
    }

    /// Draws the legend in as many rows as it needs and returns its height.
    fn legend(&self, marks: &mut Vec<Mark>, top: f32) -> f32 {
        const SAMPLE: f32 = 22.0;
        let (mut x, mut row) = (14.0, 0);
        let lines = self.lines.iter().map(|line| (&line.name, Role::Series(line.colour), line.dash));
        let goal = self.goal.iter().map(|(_, name)| (name, Role::Goal, Dash::Dashed));
        for (name, role, dash) in lines.chain(goal) {
            // Widths of letters differ; this is a little more than their mean.
            let long = SAMPLE + 6.0 + name.chars().count() as f32 * LABEL * 0.6 + 12.0;
            if x > 14.0 && x + long > SIZE.0 - RIGHT {
                (x, row) = (14.0, row + 1);
            }
            let y = top + row as f32 * LEGEND;
            marks.push(Mark::Line { points: vec![(x, y), (x + SAMPLE, y)], role, width: 2.5, dash });
            marks.push(text((x + SAMPLE + 6.0, y + 4.0), name, Role::Ink, LABEL, Anchor::Start));
            x += long;
        }
        if x == 14.0 { 0.0 } else { (row + 1) as f32 * LEGEND }
    }

    fn grid(&self, marks: &mut Vec<Mark>, area: &Area, x: Axis, y: Axis) {
        let thin = |points, role| Mark::Line { points, role, width: 1.0, dash: Dash::Solid };
        for (value, label) in y.ticks(5) {
            let [from, to] = [0.0, 1.0].map(|px| area.at(px, y.place(value)));
            marks.push(thin(vec![from, to], Role::Grid));
            marks.push(text((from.0 - 7.0, from.1 + 4.0), &label, Role::Muted, LABEL, Anchor::End));
        }
        for (value, label) in x.ticks(6) {
            let from = area.at(x.place(value), 0.0);
            marks.push(thin(vec![from, (from.0, from.1 + 4.0)], Role::Muted));
            marks.push(text((from.0, from.1 + 17.0), &label, Role::Muted, LABEL, Anchor::Middle));
        }
        marks.push(thin(vec![area.at(0.0, 0.0), area.at(1.0, 0.0)], Role::Muted));
        let below = ((area.left + area.right) / 2.0, area.bottom + 36.0);
        marks.push(text(below, "real images seen (kimg)", Role::Muted, LABEL, Anchor::Middle));
        marks.push(Mark::Text {
            at: (13.0, (area.top + area.bottom) / 2.0),
            text: self.y_label.clone(),
            role: Role::Muted,
            size: LABEL,
            anchor: Anchor::Middle,
            upright: true,
        });
    }
}

struct Area {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

impl Area {
    /// The point at these shares (0 to 1) of the axes.
    fn at(&self, x: f64, y: f64) -> Point {
        (self.left + (self.right - self.left) * x as f32, self.bottom - (self.bottom - self.top) * y as f32)
    }
}

fn text(at: Point, text: &str, role: Role, size: f32, anchor: Anchor) -> Mark {
    Mark::Text { at, text: text.into(), role, size, anchor, upright: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_lies_inside_the_plot() {
        let wave = (0..900).map(|i| (f64::from(i) / 10.0, (f64::from(i) / 30.0).sin() * 40.0 - 7.0)).collect();
        let line = |name: &str, shape| Line { name: name.repeat(6), colour: 7, dash: Dash::Dotted, shape };
        let lines = vec![
            line("smoothed", Shape::Smoothed(Curve::of(wave))),
            line("measured", Shape::Measured(vec![(1.0, 3.0), (90.0, 100.0)])),
            line("one", Shape::Measured(vec![(4.0, 3.0)])),
            line("none", Shape::Measured(Vec::new())),
        ];
        for (log, goal) in [(true, None), (false, Some((0.0, "equilibrium".to_string())))] {
            let plot =
                Plot { title: "A".into(), y_label: "b".into(), log, goal, also: vec![-50.0], lines: lines.clone() };
            let scene = plot.scene();
            for mark in &scene.marks {
                let points = match mark {
                    Mark::Line { points, .. } | Mark::Dots { points, .. } => points.clone(),
                    Mark::Text { at, .. } => vec![*at],
                };
                for (x, y) in points {
                    assert!((0.0..=SIZE.0).contains(&x) && (0.0..=SIZE.1).contains(&y), "{mark:?}");
                }
            }
        }
    }
}
