//! The embedding networks agree with the golden vectors, gradients with respect to the image included.

use burn::{
    backend::{Autodiff, Flex},
    tensor::{Tensor, TensorData, backend::Backend},
};
use ndarray::ArrayD;
use nickeldime::{
    embed::{
        clip_rn50::{self, ClipRn50},
        resnet50::{self, ResNet50},
    },
    nets::tap::Tap,
};
use nickeldime_checkpoint::model::{arch::Shapes, weights::Tensors};
use nickeldime_testkit::{
    fixtures,
    golden::{Golden, say},
    hashed,
};

type B = Flex;
type A = Autodiff<Flex>;

const CLOSE: f64 = 1e-4;

fn tensor<B: Backend, const D: usize>(array: ArrayD<f32>) -> Tensor<B, D> {
    let shape = array.shape().to_vec();
    Tensor::from_data(TensorData::new(array.into_iter().collect(), shape), &Default::default())
}

fn check_filling(golden: &Golden, network: &str, tensors: &Tensors) {
    let sums = |f: fn(f64) -> f64| tensors.values().map(move |a| a.iter().map(|&x| f(x.into())).sum::<f64>());
    golden.check(&format!("{network}.param_sums"), sums(|x| x), CLOSE);
    golden.check(&format!("{network}.param_abs_sums"), sums(f64::abs), CLOSE);
}

/// Checks means, corners and sizes of the maps that the golden file describes.
struct Maps<'a> {
    golden: &'a Golden,
    prefix: &'a str,
    seen: usize,
}

impl<B: Backend> Tap<B> for Maps<'_> {
    fn see<const D: usize>(&mut self, name: &str, map: &Tensor<B, D>) {
        let [n, c, h, w] = map.dims()[..] else { panic!("{name} is no map") };
        let map: Vec<f64> = map.to_data().iter().collect();
        let at = |i: usize, j: usize, y: usize, x: usize| map[((i * c + j) * h + y) * w + x];
        let corner = |size: usize| {
            let places = (0..n).flat_map(move |i| (0..8).map(move |j| (i, j)));
            let pixels = (0..size).flat_map(move |y| (0..size).map(move |x| (y, x)));
            let places = places.flat_map(move |(i, j)| pixels.clone().map(move |(y, x)| (i, j, y, x)));
            places.map(|(i, j, y, x)| at(i, j, y, x)).collect::<Vec<_>>()
        };
        let mean = |part: &[f64], f: fn(f64) -> f64| part.iter().map(|&x| f(x)).sum::<f64>() / part.len() as f64;
        let images = || map.chunks_exact(c * h * w);
        let prefix = self.prefix;
        if name == "stem" {
            self.golden.check(&format!("{prefix}.stem_corner"), corner(4), CLOSE);
        } else {
            self.golden.check(&format!("{prefix}.{name}.corner"), corner(2), CLOSE);
            let channels = map.chunks_exact(h * w).map(|part| mean(part, |x| x));
            self.golden.check(&format!("{prefix}.{name}.channel_mean"), channels, CLOSE);
            self.golden.check(&format!("{prefix}.{name}.mean"), images().map(|part| mean(part, |x| x)), CLOSE);
            let rms = images().map(|part| mean(part, |x| x * x).sqrt());
            self.golden.check(&format!("{prefix}.{name}.rms"), rms, CLOSE);
        }
        self.seen += 1;
    }
}

/// Checks the features `PREFIX.out` of an image and `PREFIX.grad_in`, the gradient of `sum(features * cotangent)` with
/// respect to it.
///
/// The golden gradient is that of float64. Of a million ReLUs some are within a rounding of 0, and one that is on its
/// other side in float32 changes the gradient by some thousandths. So images are tried that differ from the golden one by
/// a few roundings: the first that has every ReLU on its golden side is within 1e-5, and all have the golden features.
fn check_gradient(
    golden: &Golden,
    prefix: &str,
    features: impl Fn(Tensor<A, 4>) -> Tensor<A, 2>,
    image: &ArrayD<f32>,
    cotangent: u32,
) {
    let name = format!("{prefix}.grad_in");
    let expected = golden.array(&name);
    let largest = expected.iter().fold(0f64, |m, x| m.max(x.abs()));
    let mut slopes = (0..32).map(|roundings| {
        let nearly = image.mapv(|x| (f64::from(x) * (1.0 + f64::from(roundings) * 1.5e-7)) as f32);
        let image = tensor::<A, 4>(nearly).require_grad();
        let out = features(image.clone());
        golden.check_tensor(&format!("{prefix}.out"), &out, CLOSE);
        let cotangent = tensor(hashed::input(cotangent, &out.dims()));
        image.grad(&(out * cotangent).sum().backward()).unwrap()
    });
    let close = slopes.find(|slope| {
        let slope = slope.to_data();
        let errors = slope.iter::<f64>().zip(expected).map(|(a, b)| (a - b).abs());
        errors.fold(0f64, f64::max) < 1e-5 * largest
    });
    golden.check_tensor(&name, &close.expect("an image within a few roundings has the golden gradient"), CLOSE);
}

#[test]
fn resnet50_is_golden() {
    let golden = Golden::open("rn50_clip.safetensors");
    golden.check("hash.p0_first8", (0..8).map(|i| hashed::u(0, i)), CLOSE);
    golden.check("hash.p7_i1000000_to_7", (1_000_000..1_000_008).map(|i| hashed::u(7, i)), CLOSE);
    let weights = hashed::weights(&resnet50::dino().tensors);
    check_filling(&golden, "resnet50", &weights);

    let images = hashed::input(1_000_001, &[2, 3, 128, 128]);
    golden.check("rn50_128.in_first8", images.iter().copied().take(8), CLOSE);
    let network = ResNet50::<B>::new(&weights, &Default::default()).unwrap();
    let mut maps = Maps { golden: &golden, prefix: "rn50_128", seen: 0 };
    let out = network.features_tapped(tensor(images), &mut maps);
    assert_eq!(maps.seen, 5);
    golden.check_tensor("rn50_128.out", &out, CLOSE);

    let network = ResNet50::<A>::new(&weights, &Default::default()).unwrap();
    let image = hashed::input(1_000_002, &[1, 3, 64, 64]);
    check_gradient(&golden, "rn50_64", |x| network.features(x), &image, 1_000_003);
    golden.report();
}

#[test]
fn clip_rn50_is_golden() {
    let golden = Golden::open("rn50_clip.safetensors");
    let weights = hashed::weights(&clip_rn50::layout().tensors);
    check_filling(&golden, "clip_rn50_visual", &weights);

    let images = hashed::input(2_000_001, &[2, 3, 224, 224]);
    golden.check("clip_224.in_first8", images.iter().copied().take(8), CLOSE);
    let network = ClipRn50::<B>::new(&weights, &Default::default()).unwrap();
    let mut maps = Maps { golden: &golden, prefix: "clip_224", seen: 0 };
    let out = network.features_tapped(tensor(images), &mut maps);
    assert_eq!(maps.seen, 4);
    golden.check_tensor("clip_224.out", &out, CLOSE);
    let pooled = network.pool(tensor(hashed::input(2_000_002, &[2, 2048, 7, 7])));
    golden.check_tensor("attnpool.out", &pooled, CLOSE);

    let network = ClipRn50::<A>::new(&weights, &Default::default()).unwrap();
    let image = hashed::input(2_000_003, &[1, 3, 32, 32]);
    check_gradient(&golden, "clip_from32", |x| network.features(x), &image, 2_000_004);
    golden.report();
}

#[test]
fn the_networks_have_the_golden_tensors_and_filling() {
    let text = std::fs::read_to_string(fixtures().join("golden/rn50_clip_params.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(golden.as_object().unwrap().len(), 2);
    let (mut worst, mut count) = (0f64, 0);
    let mut check = |network: &str, shapes: &Shapes| {
        let weights = hashed::weights(shapes);
        let listed = golden[network].as_array().unwrap();
        assert_eq!(listed.len(), shapes.len(), "{network}");
        for (p, (row, (name, array))) in listed.iter().zip(&weights).enumerate() {
            assert_eq!((row["p"].as_u64(), row["key"].as_str()), (Some(p as u64), Some(&name[..])), "{network}");
            assert_eq!(row["shape"], serde_json::json!(array.shape()), "{network}: {name}");
            let inputs: usize = array.shape().iter().skip(1).product();
            let value = |u: f64| match row["rule"].as_str().unwrap() {
                "sqrt(6/fan_in)*u" => (6.0 / inputs as f64).sqrt() * u,
                "sqrt(3/in_features)*u" => (3.0 / inputs as f64).sqrt() * u,
                "0.8+0.2*u" => 0.8 + 0.2 * u,
                "1+0.5*u" => 1.0 + 0.5 * u,
                "0.5*u" => 0.5 * u,
                "0.1*u" => 0.1 * u,
                rule => panic!("{name}: unknown rule {rule}"),
            };
            for (i, &found) in array.iter().enumerate().take(64) {
                worst = worst.max((f64::from(found) - value(hashed::u(p as u32, i as u32))).abs());
            }
            count += 1;
        }
    };
    check("resnet50", &resnet50::dino().tensors);
    check("clip_rn50_visual", &clip_rn50::layout().tensors);
    assert!(worst <= 1e-7, "{worst}");
    say("rn50_clip_params.json", format_args!("{count} tensors, largest error {worst:.1e}"));
}
