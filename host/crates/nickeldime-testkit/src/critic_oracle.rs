//! A StyleGAN2 discriminator in f64, as slow and plain as its specification, for every architecture.

/// `[channels][height * width]`.
use nickeldime_checkpoint::model::{
    arch::{CriticArchitecture, DeviationGroup, block_resolution},
    weights::DiscriminatorWeights,
};

type Map = Vec<Vec<f64>>;

struct Critic<'a>(&'a DiscriminatorWeights);

fn lrelu(v: f64) -> f64 {
    std::f64::consts::SQRT_2 * if v < 0.0 { 0.2 * v } else { v }
}

/// Half the resolution: the filter [1, 3, 3, 1] / 8 in both directions.
fn halved(map: &[f64], size: usize) -> Vec<f64> {
    let at = |y: i64, x: i64| match (0..size as i64).contains(&y) && (0..size as i64).contains(&x) {
        true => map[y as usize * size + x as usize],
        false => 0.0,
    };
    let half = (size / 2) as i64;
    let taps = [1.0, 3.0, 3.0, 1.0];
    let pixel = |i: i64| {
        let (y, x) = (2 * (i / half) - 1, 2 * (i % half) - 1);
        let sum: f64 = (0..16).map(|t| taps[t / 4] * taps[t % 4] * at(y + (t / 4) as i64, x + (t % 4) as i64)).sum();
        sum / 64.0
    };
    (0..half * half).map(pixel).collect()
}

impl Critic<'_> {
    fn tensor(&self, name: &str) -> Vec<f64> {
        self.0.tensors[name].iter().map(|&v| v.into()).collect()
    }

    fn clamp(&self, v: f64) -> f64 {
        self.0.arch.conv_clamp.map_or(v, |c| v.clamp(-f64::from(c), f64::from(c)))
    }

    /// The convolution alone, size kept, then halved by taking every second pixel of the filtered input.
    fn weighted(&self, name: &str, input: &Map, size: usize, down: bool) -> (Map, usize) {
        let weight = &self.0.tensors[&format!("{name}.weight")];
        let [outputs, inputs, k, _] = weight.shape()[..] else { panic!("{name}") };
        assert_eq!(inputs, input.len(), "{name}");
        let gain = 1.0 / ((inputs * k * k) as f64).sqrt();
        // A strided convolution of the map that the filter has enlarged by its padding: pad 2 for 3x3 and 1 for 1x1.
        let pad = if k == 3 { 2i64 } else { 1 };
        let blurred = |map: &[f64], y: i64, x: i64| -> f64 {
            let taps = [1.0, 3.0, 3.0, 1.0];
            let at = |y: i64, x: i64| match (0..size as i64).contains(&y) && (0..size as i64).contains(&x) {
                true => map[y as usize * size + x as usize],
                false => 0.0,
            };
            let each = |t: usize| taps[t / 4] * taps[t % 4] * at(y - pad + (t / 4) as i64, x - pad + (t % 4) as i64);
            (0..16).map(each).sum::<f64>() / 64.0
        };
        let to = if down { size / 2 } else { size };
        let one = |o: usize| -> Vec<f64> {
            let pixel = |i: usize| {
                let (y, x) = ((i / to) as i64, (i % to) as i64);
                let mut sum = 0.0;
                for (c, map) in input.iter().enumerate() {
                    for a in 0..k {
                        for b in 0..k {
                            let value = if down {
                                blurred(map, 2 * y + a as i64, 2 * x + b as i64)
                            } else {
                                let (y, x) = (y + a as i64 - (k / 2) as i64, x + b as i64 - (k / 2) as i64);
                                match (0..size as i64).contains(&y) && (0..size as i64).contains(&x) {
                                    true => map[y as usize * size + x as usize],
                                    false => 0.0,
                                }
                            };
                            sum += f64::from(weight[[o, c, a, b]]) * gain * value;
                        }
                    }
                }
                sum
            };
            (0..to * to).map(pixel).collect()
        };
        ((0..outputs).map(one).collect(), to)
    }

    fn conv(&self, name: &str, input: &Map, size: usize, down: bool, gain: f64, limited: bool) -> (Map, usize) {
        let (mut maps, size) = self.weighted(name, input, size, down);
        for (map, bias) in maps.iter_mut().zip(self.tensor(&format!("{name}.bias"))) {
            // A limit shrinks with the gain.
            map.iter_mut().for_each(|v| {
                let value = lrelu(*v + bias);
                *v = gain * if limited { self.clamp(value) } else { value };
            });
        }
        (maps, size)
    }

    fn dense(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let gain = 1.0 / (x.len() as f64).sqrt();
        weight
            .chunks(x.len())
            .zip(bias)
            .map(|(row, b)| row.iter().zip(x).map(|(w, v)| w * v * gain).sum::<f64>() + b)
            .collect()
    }

    /// The features at 4x4 of one image, without the minibatch deviation.
    fn features(&self, image: &Map) -> Map {
        let arch = &self.0.arch;
        let (mut image, mut size) = (image.clone(), arch.resolution());
        let mut x: Option<Map> = None;
        let seen = |x: Option<Map>, name: String, image: &Map, size: usize, limited: bool| -> Map {
            let own = arch.has_fromrgb(size).then(|| self.conv(&name, image, size, false, 1.0, limited).0);
            match (x, own) {
                (Some(x), Some(own)) => {
                    let sum = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a + b).collect();
                    x.iter().zip(&own).map(sum).collect()
                }
                (x, own) => x.or(own).expect("a first block"),
            }
        };
        for index in (1..arch.channels.len()).rev() {
            let block = format!("b{}", block_resolution(index));
            let input = seen(x, format!("{block}.fromrgb"), &image, size, true);
            let residual = arch.architecture == CriticArchitecture::Resnet;
            let gain = if residual { 0.5f64.sqrt() } else { 1.0 };
            let (main, _) = self.conv(&format!("{block}.conv0"), &input, size, false, 1.0, true);
            let (mut main, half) = self.conv(&format!("{block}.conv1"), &main, size, true, gain, true);
            if residual {
                let (side, _) = self.weighted(&format!("{block}.skip"), &input, size, true);
                for (main, side) in main.iter_mut().zip(side) {
                    main.iter_mut().zip(side).for_each(|(m, s)| *m += gain * s);
                }
            }
            image = image.iter().map(|map| halved(map, size)).collect();
            size = half;
            x = Some(main);
        }
        seen(x, "b4.fromrgb".into(), &image, size, false)
    }
}

/// The logits of a batch of images, `[channels][height * width]` each.
pub fn logits(critic: &DiscriminatorWeights, images: &[Map]) -> Vec<f64> {
    let network = Critic(critic);
    let features: Vec<Map> = images.iter().map(|image| network.features(image)).collect();
    let batch = images.len();
    let members = match critic.arch.mbstd_group {
        DeviationGroup::Absent => None,
        DeviationGroup::Batch => Some(batch),
        DeviationGroup::Samples(samples) => Some(samples.min(batch)),
    };
    let groups = members.map_or(1, |members| batch / members);
    let deviation = |group: usize, members: usize| -> f64 {
        let of: Vec<&Map> = (0..members).map(|m| &features[m * groups + group]).collect();
        let (channels, pixels) = (of[0].len(), of[0][0].len());
        let mut sum = 0.0;
        for c in 0..channels {
            for p in 0..pixels {
                let mean = of.iter().map(|map| map[c][p]).sum::<f64>() / members as f64;
                let variance = of.iter().map(|map| (map[c][p] - mean).powi(2)).sum::<f64>() / members as f64;
                sum += (variance + 1e-8).sqrt();
            }
        }
        sum / (channels * pixels) as f64
    };
    let logit = |n: usize| {
        let mut x = features[n].clone();
        if let Some(members) = members {
            x.push(vec![deviation(n % groups, members); 16]);
        }
        let (x, _) = network.conv("b4.conv", &x, 4, false, 1.0, true);
        let x: Vec<f64> = x.concat();
        let x: Vec<f64> = network.dense("b4.fc", &x).into_iter().map(lrelu).collect();
        network.dense("b4.out", &x)[0]
    };
    (0..batch).map(logit).collect()
}
