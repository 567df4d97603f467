//! A StyleGAN2 generator in f64, as slow and plain as its specification (`fixtures/golden/README.md`, sections 1 and 2).
//! It is the reference for the integer engine.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use nickeldime_checkpoint::model::arch::GeneratorArch;
use nickeldime_checkpoint::model::weights::{GeneratorWeights, Tensors};
use safetensors::{Dtype, SafeTensors};

/// The `f32` tensors of a safetensors file whose names begin with `prefix`, without it.
pub fn load(path: &Path, prefix: &str) -> Tensors {
    let bytes = std::fs::read(path).expect("the fixture is there");
    let file = SafeTensors::deserialize(&bytes).expect("the fixture is a safetensors file");
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let Some(name) = name.strip_prefix(prefix).filter(|_| view.dtype() == Dtype::F32) else { continue };
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        tensors.insert(name.to_owned(), ArrayD::from_shape_vec(IxDyn(view.shape()), values).unwrap());
    }
    tensors
}

/// A generator from such tensors, its architecture from their shapes.
pub fn generator(tensors: Tensors, conv_clamp: Option<f32>) -> GeneratorWeights {
    let shape = |name: &str| tensors.get(name).map(|t| t.shape().to_vec());
    let mapping_layers = (0..).take_while(|i| tensors.contains_key(&format!("mapping.fc{i}.weight"))).count();
    let channels = (0..).map_while(|i| Some(shape(&format!("synthesis.b{}.conv1.weight", 4 << i))?[0]));
    let arch = GeneratorArch {
        z_dim: shape("mapping.fc0.weight").expect("a mapping network")[1],
        w_dim: shape("mapping.w_avg").expect("w_avg")[0],
        mapping_layers,
        channels: channels.collect(),
        img_channels: shape("synthesis.b4.torgb.bias").expect("a toRGB layer")[0],
        conv_clamp,
    };
    GeneratorWeights { arch, tensors }
}

/// The noise of the reference generator.
#[derive(Clone, Copy)]
pub enum OracleNoise<'a> {
    None,
    Const,
    /// A function that gives the value at (layer, y, x).
    Given(&'a dyn Fn(u32, u32, u32) -> f64),
}

/// A feature map, `[channels][height * width]`.
pub type Map = Vec<Vec<f64>>;

fn tensor(g: &GeneratorWeights, name: &str) -> Vec<f64> {
    g.tensors[name].iter().map(|&v| f64::from(v)).collect()
}

fn dense(g: &GeneratorWeights, name: &str, x: &[f64], lr: f64) -> Vec<f64> {
    let (w, b) = (tensor(g, &format!("{name}.weight")), tensor(g, &format!("{name}.bias")));
    let gain = lr / (x.len() as f64).sqrt();
    let rows = w.chunks(x.len()).zip(&b);
    rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x * gain).sum::<f64>() + b * lr).collect()
}

fn lrelu(v: f64) -> f64 {
    std::f64::consts::SQRT_2 * if v < 0.0 { 0.2 * v } else { v }
}

/// The mapping network with truncation.
pub fn mapping(g: &GeneratorWeights, z: &[f64], psi: f64) -> Vec<f64> {
    let mean = z.iter().map(|v| v * v).sum::<f64>() / z.len() as f64;
    let mut x: Vec<f64> = z.iter().map(|v| v / (mean + 1e-8).sqrt()).collect();
    for layer in 0..g.arch.mapping_layers {
        x = dense(g, &format!("mapping.fc{layer}"), &x, 0.01).into_iter().map(lrelu).collect();
    }
    let average = tensor(g, "mapping.w_avg");
    x.iter().zip(average).map(|(w, a)| a + psi * (w - a)).collect()
}

/// Up 2, filter, gain 4: `pads` on the left, the output has `size` rows.
fn fir(map: &[f64], width: usize, zero_insert: bool, pad: usize, gain: f64, size: usize) -> Vec<f64> {
    let taps = [1.0, 3.0, 3.0, 1.0].map(|t| t / 8.0);
    let step = if zero_insert { 2 } else { 1 };
    let at = |y: isize, x: isize| {
        let limit = (width * step) as isize;
        let ok = (0..limit).contains(&y) && (0..limit).contains(&x) && y % step as isize == 0 && x % step as isize == 0;
        if ok { map[y as usize / step * width + x as usize / step] } else { 0.0 }
    };
    let mut out = vec![0.0; size * size];
    for (i, out) in out.iter_mut().enumerate() {
        for (a, ta) in taps.iter().enumerate() {
            for (b, tb) in taps.iter().enumerate() {
                let (y, x) = (i / size + a, i % size + b);
                *out += gain * ta * tb * at(y as isize - pad as isize, x as isize - pad as isize);
            }
        }
    }
    out
}

/// `out[y][x] += factor * map[y + a - 1][x + b - 1]`.
fn correlate(map: &[f64], width: usize, factor: f64, a: usize, b: usize, out: &mut [f64]) {
    let (first, last) = (1usize.saturating_sub(b), (width + 1 - b).min(width));
    for y in (0..width).filter(|y| (1..=width).contains(&(y + a))) {
        let from = &map[(y + a - 1) * width..][..width][first + b - 1..last + b - 1];
        let to = &mut out[y * width..][..width][first..last];
        to.iter_mut().zip(from).for_each(|(to, v)| *to += factor * v);
    }
}

/// `out[2 y + a][2 x + b] += factor * map[y][x]`.
fn scatter(map: &[f64], width: usize, factor: f64, a: usize, b: usize, out: &mut [f64]) {
    for (y, row) in map.chunks(width).enumerate() {
        let to = out[(2 * y + a) * (2 * width + 1)..][b..].iter_mut().step_by(2);
        to.zip(row).for_each(|(to, v)| *to += factor * v);
    }
}

struct Synthesis<'a> {
    g: &'a GeneratorWeights,
    w: &'a [f64],
    noise: OracleNoise<'a>,
    tap: &'a mut dyn FnMut(&str, &[f32]),
}

impl Synthesis<'_> {
    fn tell(&mut self, name: &str, map: &Map) {
        let flat: Vec<f32> = map.iter().flatten().map(|&v| v as f32).collect();
        (self.tap)(name, &flat);
    }

    fn clamp(&self, v: f64) -> f64 {
        self.g.arch.conv_clamp.map_or(v, |c| v.clamp(-f64::from(c), f64::from(c)))
    }

    fn conv(&mut self, name: &str, layer: u32, input: &Map, width: usize, up: bool) -> Map {
        let full = format!("synthesis.{name}");
        let styles = dense(self.g, &format!("{full}.affine"), self.w, 1.0);
        let (w, bias) = (tensor(self.g, &format!("{full}.weight")), tensor(self.g, &format!("{full}.bias")));
        let inputs = input.len();
        let mut maps: Map = Vec::new();
        for o in 0..bias.len() {
            let taps = |i: usize| &w[(o * inputs + i) * 9..][..9];
            let energy: f64 = (0..inputs)
                .flat_map(|i| taps(i).iter().map(move |w| (i, w)))
                .map(|(i, w)| (w * styles[i]).powi(2))
                .sum();
            let d = 1.0 / (energy + 1e-8).sqrt();
            let size = if up { 2 * width + 1 } else { width };
            let mut out = vec![0.0; size * size];
            for (i, map) in input.iter().enumerate() {
                for (k, tap) in taps(i).iter().enumerate() {
                    let factor = tap * styles[i] * d;
                    if up {
                        scatter(map, width, factor, k / 3, k % 3, &mut out);
                    } else {
                        correlate(map, width, factor, k / 3, k % 3, &mut out);
                    }
                }
            }
            maps.push(out);
        }
        if up {
            self.tell(&format!("{name}.mid"), &maps);
            maps = maps.iter().map(|m| fir(m, 2 * width + 1, false, 1, 4.0, 2 * width)).collect();
        }
        let size = if up { 2 * width } else { width };
        let strength = tensor(self.g, &format!("{full}.noise_strength"))[0];
        let stored = tensor(self.g, &format!("{full}.noise_const"));
        for (map, bias) in maps.iter_mut().zip(bias) {
            for (i, v) in map.iter_mut().enumerate() {
                let noise = match self.noise {
                    OracleNoise::None => 0.0,
                    OracleNoise::Const => stored[i],
                    OracleNoise::Given(f) => f(layer, (i / size) as u32, (i % size) as u32),
                };
                *v = self.clamp(lrelu(*v + strength * noise + bias));
            }
        }
        self.tell(&format!("{name}.out"), &maps);
        maps
    }

    fn torgb(&mut self, name: &str, input: &Map) -> Map {
        let full = format!("synthesis.{name}");
        let gain = 1.0 / (input.len() as f64).sqrt();
        let styles = dense(self.g, &format!("{full}.affine"), self.w, 1.0);
        let (w, bias) = (tensor(self.g, &format!("{full}.weight")), tensor(self.g, &format!("{full}.bias")));
        let mut rgb = Map::new();
        for (row, bias) in w.chunks(input.len()).zip(bias) {
            let mut out = vec![bias; input[0].len()];
            for ((w, s), map) in row.iter().zip(&styles).zip(input) {
                out.iter_mut().zip(map).for_each(|(out, v)| *out += w * s * gain * v);
            }
            out.iter_mut().for_each(|v| *v = self.clamp(*v));
            rgb.push(out);
        }
        self.tell(&format!("{name}.out"), &rgb);
        rgb
    }
}

/// The synthesis network at one w for all layers: the image, `[img_channels][height * width]` flat. `tap` gets every intermediate.
pub fn synthesis(
    g: &GeneratorWeights,
    w: &[f64],
    noise: OracleNoise<'_>,
    tap: &mut dyn FnMut(&str, &[f32]),
) -> Vec<f32> {
    let mut s = Synthesis { g, w, noise, tap };
    let constant = tensor(g, "synthesis.b4.const");
    let mut x: Map = constant.chunks(16).map(<[f64]>::to_vec).collect();
    let mut image: Option<Map> = None;
    let (mut width, mut layer) = (4, 0);
    for index in 0..g.arch.channels.len() {
        if index > 0 {
            x = s.conv(&format!("b{}.conv0", 2 * width), layer, &x, width, true);
            width *= 2;
            layer += 1;
        }
        x = s.conv(&format!("b{width}.conv1"), layer, &x, width, false);
        layer += 1;
        s.tell(&format!("b{width}.x"), &x);
        let mut rgb = s.torgb(&format!("b{width}.torgb"), &x);
        if let Some(small) = image {
            for (out, small) in rgb.iter_mut().zip(&small) {
                let up = fir(small, width / 2, true, 2, 4.0, width);
                out.iter_mut().zip(up).for_each(|(a, b)| *a += b);
            }
        }
        s.tell(&format!("b{width}.img"), &rgb);
        image = Some(rgb);
    }
    image.unwrap_or_default().into_iter().flatten().map(|v| v as f32).collect()
}
