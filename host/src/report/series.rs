//! Curves over images seen: smoothed, and thinned to as many dots as a reader can tell apart.

/// Points of a curve: thousands of images seen, and the value there.
pub type Points = Vec<(f64, f64)>;

/// The largest number of dots that one curve gets.
const DOTS: usize = 500;

/// A curve as it is drawn: dots for single iterations and a line of means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// The value of every `every`-th iteration.
    pub dots: Points,
    /// The distance between two iterations that are shown as dots; 1 shows all.
    pub every: usize,
    /// Centred means over `window` iterations.
    pub line: Points,
    /// The number of iterations in each mean; 1 means no smoothing.
    pub window: usize,
}

impl Curve {
    /// Thins and smooths the points. Values that are not finite are left out.
    pub fn of(mut points: Points) -> Self {
        points.retain(|(x, y)| x.is_finite() && y.is_finite());
        let every = points.len().div_ceil(DOTS).max(1);
        // Odd, so that a mean has a centre; a fortieth of the run, so that its course stays.
        let window = (points.len() / 40) | 1;
        let thin = |points: &[(f64, f64)]| points.iter().copied().step_by(every).collect();
        Self { dots: thin(&points), every, line: thin(&means(&points, window)), window }
    }
}

/// Centred means of `window` points. Near both ends the mean covers fewer points (as many to the left as to the right);
/// where it would cover less than half of `window`, the curve has no point.
fn means(points: &[(f64, f64)], window: usize) -> Points {
    let mut sums = vec![0.0];
    sums.extend(points.iter().scan(0.0, |sum, (_, y)| {
        *sum += y;
        Some(*sum)
    }));
    let half = window / 2;
    let mean = |(i, &(x, _)): (usize, &(f64, f64))| {
        let reach = half.min(i).min(points.len() - 1 - i);
        let (start, end) = (i - reach, i + reach + 1);
        (2 * reach >= half).then(|| (x, (sums[end] - sums[start]) / (end - start) as f64))
    };
    points.iter().enumerate().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_keep_straight_lines_and_end_before_they_are_single_points() {
        let line: Points = (0..1000).map(|i| (f64::from(i), 3.0 - 2.0 * f64::from(i))).collect();
        let curve = Curve::of(line.clone());
        assert_eq!((curve.window, curve.every), (25, 2));
        assert_eq!(curve.dots.len(), 500);
        assert!(curve.line.iter().all(|(x, y)| (y - (3.0 - 2.0 * x)).abs() < 1e-9));
        assert_eq!((curve.line[0].0, curve.line.last().unwrap().0), (6.0, 992.0));
    }

    #[test]
    fn short_and_empty_runs_are_shown_as_they_are() {
        assert_eq!(Curve::of(Vec::new()).line, []);
        let points = vec![(1.0, 5.0), (2.0, f64::NAN), (3.0, 7.0)];
        let curve = Curve::of(points);
        assert_eq!(curve.line, [(1.0, 5.0), (3.0, 7.0)]);
        assert_eq!(curve.dots, curve.line);
    }
}
