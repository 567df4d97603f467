//! Axes of plots: the place of a number, and the ticks with their labels.

/// A linear or logarithmic axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// An axis that shows all finite `values` with some room at both ends (0 to 1 if there are no values). The axis is
    /// logarithmic if `log` is set and all values are above 0.
    pub fn over(values: impl IntoIterator<Item = f64>, log: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for x in values.into_iter().filter(|x| x.is_finite()) {
            (low, high) = (low.min(x), high.max(x));
        }
        if low > high {
            return Self { low: 0.0, high: 1.0, log: false };
        }
        let log = log && low > 0.0;
        if log {
            return Self { low: low / 1.15, high: high * 1.15, log };
        }
        let room = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-3) };
        // An end at 0 stays at 0, so that a plot of positive values does not begin below 0.
        let end = |x: f64, beyond: f64| if x == 0.0 && high > low { 0.0 } else { beyond };
        Self { low: end(low, low - room), high: end(high, high + room), log }
    }

    /// The place of a number on the axis: 0 is the low end, 1 the high end.
    pub fn place(&self, x: f64) -> f64 {
        match self.log {
            true => (x / self.low).ln() / (self.high / self.low).ln(),
            false => (x - self.low) / (self.high - self.low),
        }
    }

    /// True if the number lies between the ends of the axis.
    pub fn shows(&self, x: f64) -> bool {
        (0.0..=1.0).contains(&self.place(x))
    }

    /// About `count` round numbers on the axis, each with its label.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.log {
            let ticks = self.log_ticks();
            if ticks.len() >= 3 {
                return ticks.into_iter().map(|x| (x, label(x, x))).collect();
            }
        }
        let span = self.high - self.low;
        let raw = span / count.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = power * [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|m| raw <= m * power * 1.0001).unwrap_or(10.0);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 100)).map(|n| n as f64 * step).map(|x| (x, label(x, step))).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let exponents = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let all = exponents.flat_map(|e| steps.iter().map(move |s| s * 10f64.powi(e)));
        all.filter(|&x| self.shows(x)).collect()
    }
}

/// A number with as many decimals as ticks that are `step` apart need.
fn label(x: f64, step: f64) -> String {
    let size = x.abs().max(step.abs());
    if !(1e-4..1e6).contains(&size) {
        return format!("{x:.1e}");
    }
    let digits = (0..6).find(|&d| (step * 10f64.powi(d) - (step * 10f64.powi(d)).round()).abs() < 1e-6).unwrap_or(6);
    let text = format!("{x:.*}", digits as usize);
    // The typographic minus; no minus in front of 0.
    let zero = !text.contains(|c: char| ('1'..='9').contains(&c));
    if zero { text.replace('-', "") } else { text.replace('-', "\u{2212}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks(5).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_on_the_axis() {
        assert_eq!(labels(Axis::over([0.0, 1.0], false)), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(Axis::over([-7.0, 12.0], false)), ["\u{2212}5", "0", "5", "10"]);
        assert_eq!(labels(Axis::over([90.0, 900.0], true)), ["100", "200", "500", "1000"]);
        for values in [[1e-9, 2e-9], [1e12, 3e12], [-0.3, 0.2], [5.0, 5.0], [0.0, 0.0], [99.0, 101.0]] {
            for log in [false, true] {
                let axis = Axis::over(values, log);
                let ticks = axis.ticks(5);
                assert!((2..=12).contains(&ticks.len()), "{values:?} {ticks:?}");
                assert!(ticks.iter().all(|(x, _)| (-1e-6..=1.0 + 1e-6).contains(&axis.place(*x))), "{ticks:?}");
            }
        }
    }

    #[test]
    fn nothing_to_show_is_still_an_axis() {
        let axis = Axis::over([f64::NAN, f64::INFINITY], true);
        assert_eq!((axis.place(0.0), axis.place(1.0)), (0.0, 1.0));
        assert!(!axis.shows(f64::NAN));
    }
}
