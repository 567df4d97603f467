//! Latents and noise are normal, independent and the same everywhere.

use nickeldime_core::latent::{gaussian, noise, quantile, quantile_table};

/// Upper tail of the normal distribution, from Lentz's continued fraction or the series of erf.
fn upper_tail(x: f64) -> f64 {
    let phi = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= x * x / (2 * k + 1) as f64;
            sum += term;
        }
        0.5 - phi * sum
    } else {
        let mut fraction = 0.0;
        for k in (1..400).rev() {
            fraction = k as f64 / (x + fraction);
        }
        phi / (x + fraction)
    }
}

/// The magnitude whose upper tail is p.
fn upper_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if upper_tail(middle) > p { low = middle } else { high = middle }
    }
    low
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many numbers")]
fn table_is_the_normal_quantile() {
    for (entry, &value) in quantile_table().iter().enumerate() {
        let n = (1.0 + (entry % 16) as f64 / 16.0) * 2f64.powi(entry as i32 / 16);
        let exact = upper_quantile(n / 2f64.powi(33)) * 4096.0;
        assert!((f64::from(value) - exact).abs() <= 0.5001, "entry {entry}: {value} for {exact}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many numbers")]
fn interpolation_stays_within_two_units() {
    for step in (0..40_000u32).step_by(7) {
        // Dense in every octave: the position within it and the octave vary.
        let bits = (0x8000_0000u32 | (step << 16)) >> (1 + step % 31);
        let p = (2.0 * f64::from(bits) + 1.0) / 2f64.powi(33);
        let exact = upper_quantile(p) * 4096.0;
        let ours = f64::from(quantile(bits));
        assert!((ours - exact).abs() <= 2.0, "{bits:#x}: {ours} for {exact}");
        assert_eq!(quantile(bits | 0x8000_0000), -quantile(bits));
    }
}

/// Mean, variance, skewness, excess kurtosis, the Kolmogorov-Smirnov distance to N(0, 1), and the largest magnitude.
fn describe(mut values: Vec<f64>) -> [f64; 6] {
    let n = values.len() as f64;
    let moment = |k: i32, c: f64| values.iter().map(|v| (v - c).powi(k)).sum::<f64>() / n;
    let mean = moment(1, 0.0);
    let variance = moment(2, mean);
    let skewness = moment(3, mean) / variance.powf(1.5);
    let kurtosis = moment(4, mean) / variance.powi(2) - 3.0;
    values.sort_by(f64::total_cmp);
    let distance = values.iter().enumerate().fold(0f64, |d, (i, &v)| {
        let cdf = if v < 0.0 { upper_tail(-v) } else { 1.0 - upper_tail(v) };
        d.max((cdf - i as f64 / n).abs()).max((cdf - (i + 1) as f64 / n).abs())
    });
    let largest = values[0].abs().max(*values.last().unwrap());
    [mean, variance, skewness, kurtosis, distance, largest]
}

fn assert_normal(what: &str, values: Vec<f64>) {
    let count = values.len() as f64;
    let [mean, variance, skewness, kurtosis, distance, largest] = describe(values);
    let sigma = 1.0 / count.sqrt();
    println!("{what}: {mean} {variance} {skewness} {kurtosis} {distance} {largest}");
    assert!(mean.abs() < 4.0 * sigma, "{what}: mean {mean}");
    assert!((variance - 1.0).abs() < 4.0 * 2f64.sqrt() * sigma, "{what}: variance {variance}");
    assert!(skewness.abs() < 4.0 * 6f64.sqrt() * sigma, "{what}: skewness {skewness}");
    assert!(kurtosis.abs() < 4.0 * 24f64.sqrt() * sigma, "{what}: kurtosis {kurtosis}");
    // The critical value at the 0.1 % level, plus the density times half a unit of Q12.
    assert!(distance < 1.95 * sigma + 0.4 * 0.5 / 4096.0, "{what}: distance {distance}");
    assert!(largest > 4.2, "{what}: largest {largest}");
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many numbers")]
fn latents_and_noise_are_normal() {
    let q12 = |v: i16| f64::from(v) / 4096.0;
    assert_normal("one seed", (0..250_000).map(|i| q12(gaussian(7, i))).collect());
    assert_normal("one index", (0..250_000).map(|s| q12(gaussian(s, 3))).collect());
    let pixels = (0..512).flat_map(|y| (0..512).map(move |x| q12(noise(7, 3, y, x))));
    assert_normal("noise", pixels.collect());
}

#[test]
#[cfg_attr(miri, ignore = "statistics need many numbers")]
fn neighbours_are_not_correlated() {
    let products = |pair: &dyn Fn(u32) -> [i16; 2]| -> f64 {
        let product = |i| pair(i).iter().map(|&v| f64::from(v) / 4096.0).product::<f64>();
        (0..200_000).map(product).sum::<f64>() / 200_000.0
    };
    let limit = 4.0 / 200_000f64.sqrt();
    assert!(products(&|i| [gaussian(1, i), gaussian(1, i + 1)]).abs() < limit);
    assert!(products(&|i| [gaussian(i.into(), 0), gaussian(u64::from(i) + 1, 0)]).abs() < limit);
    assert!(products(&|i| [gaussian(i.into(), 5), gaussian(u64::from(i) << 32, 5)]).abs() < limit);
    assert!(products(&|i| [noise(1, 0, i, 0), noise(1, 0, i, 1)]).abs() < limit);
    assert!(products(&|i| [noise(1, 0, i & 0xFFFF, i >> 16), noise(1, 1, i & 0xFFFF, i >> 16)]).abs() < limit);
    assert!(products(&|i| [noise(1, 0, 0, i), gaussian(1, i)]).abs() < limit);
}

#[test]
fn first_values_never_change() {
    let z: Vec<i16> = (0..8).map(|i| gaussian(0, i)).collect();
    assert_eq!(z, [843, -5238, 1977, -2720, 1110, -157, -3144, 8380]);
    let far = [gaussian(u64::MAX, u32::MAX), noise(1 << 40, 17, 1023, 1022), noise(1 << 40, 17, 1023, 1023)];
    assert_eq!(far, [26, 3236, 1450]);
}
