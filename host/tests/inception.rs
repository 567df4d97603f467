//! FID's Inception against a second one, in f64: loops over pixels and unfolded batch norms.

use burn::{
    backend::Flex,
    tensor::{Tensor, TensorData},
};
use ndarray::{Array3, Axis, concatenate, s};
use nickeldime::embed::inception::{self, Inception};
use nickeldime_checkpoint::model::weights::Tensors;
use nickeldime_testkit::hashed;

/// `[channels, height, width]`.
type Map = Array3<f64>;

struct Oracle<'a>(&'a Tensors);

impl Oracle<'_> {
    /// Convolution without a bias, batch norm with epsilon 0.001, ReLU.
    fn conv(&self, name: &str, x: &Map, stride: usize, (top, left): (usize, usize)) -> Map {
        let part = |part: &str| self.0[&format!("{name}.{part}")].mapv(f64::from);
        let weight = part("conv.weight");
        let [out, inputs, kh, kw] = weight.shape()[..] else { panic!("{name}") };
        let weight: Vec<f64> = weight.iter().copied().collect();
        let (c, h, w) = x.dim();
        assert_eq!(c, inputs, "{name}");
        let mut wide = Map::zeros((c, h + 2 * top, w + 2 * left));
        wide.slice_mut(s![.., top..top + h, left..left + w]).assign(x);
        let (gain, bias, mean, var) =
            (part("bn.weight"), part("bn.bias"), part("bn.running_mean"), part("bn.running_var"));
        let size = |length: usize, kernel: usize| (length - kernel) / stride + 1;
        let (rows, columns) = (size(h + 2 * top, kh), size(w + 2 * left, kw));
        let mut y = Map::zeros((out, rows, columns));
        for o in 0..out {
            let mut plane = y.index_axis_mut(Axis(0), o);
            for i in 0..inputs {
                for a in 0..kh {
                    for b in 0..kw {
                        let tap = weight[((o * inputs + i) * kh + a) * kw + b];
                        for row in 0..rows {
                            for column in 0..columns {
                                plane[[row, column]] += tap * wide[[i, row * stride + a, column * stride + b]];
                            }
                        }
                    }
                }
            }
            plane.mapv_inplace(|v| ((v - mean[o]) / (var[o] + 0.001).sqrt() * gain[o] + bias[o]).max(0.0));
        }
        y
    }

    fn same(&self, name: &str, x: &Map) -> Map {
        let weight = &self.0[&format!("{name}.conv.weight")];
        self.conv(name, x, 1, (weight.shape()[2] / 2, weight.shape()[3] / 2))
    }

    /// Convolutions one after the other.
    fn row(&self, block: &str, names: &[&str], x: &Map) -> Map {
        names.iter().fold(x.clone(), |x, name| self.same(&format!("{block}.{name}"), &x))
    }
}

/// What a 3x3 window around a pixel holds, inside the map.
fn windows(x: &Map, stride: usize, pad: usize, f: impl Fn(&[f64]) -> f64) -> Map {
    let (c, h, w) = x.dim();
    let size = |length: usize| (length + 2 * pad - 3) / stride + 1;
    Map::from_shape_fn((c, size(h), size(w)), |(channel, row, column)| {
        let range = |at: usize, length: usize| (at * stride).saturating_sub(pad)..(at * stride + 3 - pad).min(length);
        let window = x.slice(s![channel, range(row, h), range(column, w)]);
        f(&window.iter().copied().collect::<Vec<_>>())
    })
}

fn maximum(window: &[f64]) -> f64 {
    window.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn mean(window: &[f64]) -> f64 {
    window.iter().sum::<f64>() / window.len() as f64
}

fn joined(parts: &[Map]) -> Map {
    concatenate(Axis(0), &parts.iter().map(|part| part.view()).collect::<Vec<_>>()).unwrap()
}

/// The network as its paper and FID's authors describe it.
fn oracle(tensors: &Tensors, image: Map) -> Vec<f64> {
    let o = Oracle(tensors);
    let mut x = o.conv("Conv2d_1a_3x3", &image, 2, (0, 0));
    x = o.conv("Conv2d_2a_3x3", &x, 1, (0, 0));
    x = o.conv("Conv2d_2b_3x3", &x, 1, (1, 1));
    x = windows(&x, 2, 0, maximum);
    x = o.conv("Conv2d_3b_1x1", &x, 1, (0, 0));
    x = o.conv("Conv2d_4a_3x3", &x, 1, (0, 0));
    x = windows(&x, 2, 0, maximum);
    for block in ["Mixed_5b", "Mixed_5c", "Mixed_5d"] {
        let pool = windows(&x, 1, 1, mean);
        x = joined(&[
            o.row(block, &["branch1x1"], &x),
            o.row(block, &["branch5x5_1", "branch5x5_2"], &x),
            o.row(block, &["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"], &x),
            o.row(block, &["branch_pool"], &pool),
        ]);
    }
    let double = o.row("Mixed_6a", &["branch3x3dbl_1", "branch3x3dbl_2"], &x);
    x = joined(&[
        o.conv("Mixed_6a.branch3x3", &x, 2, (0, 0)),
        o.conv("Mixed_6a.branch3x3dbl_3", &double, 2, (0, 0)),
        windows(&x, 2, 0, maximum),
    ]);
    for block in ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"] {
        let pool = windows(&x, 1, 1, mean);
        let double = ["branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"];
        x = joined(&[
            o.row(block, &["branch1x1"], &x),
            o.row(block, &["branch7x7_1", "branch7x7_2", "branch7x7_3"], &x),
            o.row(block, &double, &x),
            o.row(block, &["branch_pool"], &pool),
        ]);
    }
    let three = o.row("Mixed_7a", &["branch3x3_1"], &x);
    let seven = o.row("Mixed_7a", &["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3"], &x);
    x = joined(&[
        o.conv("Mixed_7a.branch3x3_2", &three, 2, (0, 0)),
        o.conv("Mixed_7a.branch7x7x3_4", &seven, 2, (0, 0)),
        windows(&x, 2, 0, maximum),
    ]);
    for (block, pool) in [("Mixed_7b", mean as fn(&[f64]) -> f64), ("Mixed_7c", maximum)] {
        let three = o.row(block, &["branch3x3_1"], &x);
        let double = o.row(block, &["branch3x3dbl_1", "branch3x3dbl_2"], &x);
        x = joined(&[
            o.row(block, &["branch1x1"], &x),
            o.row(block, &["branch3x3_2a"], &three),
            o.row(block, &["branch3x3_2b"], &three),
            o.row(block, &["branch3x3dbl_3a"], &double),
            o.row(block, &["branch3x3dbl_3b"], &double),
            o.row(block, &["branch_pool"], &windows(&x, 1, 1, pool)),
        ]);
    }
    x.outer_iter().map(|map| map.mean().unwrap()).collect()
}

fn largest_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |m, x| m.max(x.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f64, f64::max) / largest
}

#[test]
fn inception_is_its_description() {
    let shapes = inception::layout().tensors;
    assert_eq!(shapes.len(), 94 * 5);
    let weights = hashed::weights(&shapes);
    let network = Inception::<Flex>::new(&weights, &Default::default()).unwrap();
    // Small enough for an oracle: the last map has 3x3 pixels, so that its pools have an inside and an edge.
    let size = 139;
    let image = hashed::input(3_000_001, &[3, size, size]);
    let map = image.mapv(f64::from).into_dimensionality().unwrap();
    let data = TensorData::new(image.into_iter().collect::<Vec<f32>>(), [1, 3, size, size]);
    let found = network.features_of_prepared(Tensor::from_data(data, &Default::default()));
    let found: Vec<f64> = found.into_data().iter().collect();
    let expected = oracle(&weights, map);
    assert_eq!(expected.len(), 2048);
    let error = largest_error(&found, &expected);
    println!("inception: largest error {error:.1e}");
    assert!(error < 1e-4, "{error}");
}

#[test]
fn images_enter_as_the_metrics_feed_them() {
    let weights = hashed::weights(&inception::layout().tensors);
    let network = Inception::<Flex>::new(&weights, &Default::default()).unwrap();
    let image = hashed::input(3_000_002, &[1, 3, 32, 32]);
    // Bytes, then TensorFlow 1's bilinear: output pixel i looks at i * 32 / 299, and the last ones at the edge.
    let prepared: Vec<f32> = (0..3 * 299 * 299)
        .map(|at| {
            let (channel, row, column) = (at / (299 * 299), at / 299 % 299, at % 299);
            let look = |i: usize| {
                let source = i as f64 * 32.0 / 299.0;
                (source as usize, (source as usize + 1).min(31), source.fract())
            };
            let ((y0, y1, fy), (x0, x1, fx)) = (look(row), look(column));
            let byte = |y: usize, x: usize| (f64::from(image[[0, channel, y, x]]) + 1.0) * 127.5;
            let wide = |y: usize| byte(y, x0) * (1.0 - fx) + byte(y, x1) * fx;
            (((wide(y0) * (1.0 - fy) + wide(y1) * fy) - 128.0) / 128.0) as f32
        })
        .collect();
    let features = |tensor: Tensor<Flex, 2>| tensor.into_data().iter().collect::<Vec<f64>>();
    let device = Default::default();
    let prepared = Tensor::from_data(TensorData::new(prepared, [1, 3, 299, 299]), &device);
    let raw = Tensor::from_data(TensorData::new(image.into_iter().collect::<Vec<f32>>(), [1, 3, 32, 32]), &device);
    let (found, expected) = (features(network.features(raw)), features(network.features_of_prepared(prepared)));
    assert!(largest_error(&found, &expected) < 1e-4);
}
