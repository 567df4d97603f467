//! Checkpoints as rosinality/stylegan2-pytorch and the projects that follow it write them.

use ndarray::{ArrayD, Axis, IxDyn};
use nickeldime_checkpoint::model::arch::block_resolution;
use nickeldime_checkpoint::model::weights::{DiscriminatorWeights, GeneratorWeights, RESAMPLE_FILTER, Tensors};

use super::pickle_writer::{Py, call, dict, ordered_dict, text};
use super::torch_writer::{Storages, state_dict};

fn filter(gain: f32) -> ArrayD<f32> {
    ArrayD::from_shape_fn(IxDyn(&[4, 4]), |at| gain * RESAMPLE_FILTER[4 * at[0] + at[1]])
}

/// A generator's state dict. `noise` says whether it has noise maps, which the first versions had not.
pub fn generator(weights: &GeneratorWeights, noise: bool) -> Tensors {
    let mut out = Tensors::new();
    for (name, array) in &weights.tensors {
        let parts: Vec<&str> = name.split('.').collect();
        let (name, array) = match parts[..] {
            ["mapping", "w_avg"] => continue,
            ["mapping", layer, last] => {
                let layer: usize = layer[2..].parse().unwrap();
                (format!("style.{}.{last}", layer + 1), array.clone())
            }
            ["synthesis", "b4", "const"] => ("input.input".into(), array.clone().insert_axis(Axis(0))),
            ["synthesis", block, layer, ref rest @ ..] => {
                let resolution: usize = block[1..].parse().unwrap();
                let index = (resolution / 4).trailing_zeros() as usize;
                let place = match (index, layer) {
                    (0, "conv1") => "conv1".to_owned(),
                    (0, _) => "to_rgb1".into(),
                    (_, "torgb") => format!("to_rgbs.{}", index - 1),
                    (_, conv) => format!("convs.{}", 2 * (index - 1) + usize::from(conv == "conv1")),
                };
                match rest {
                    ["noise_const"] if !noise => continue,
                    ["noise_const"] => {
                        let map = 2 * index - usize::from(layer == "conv0");
                        let array = array.clone().insert_axis(Axis(0)).insert_axis(Axis(0));
                        (format!("noises.noise_{map}"), array)
                    }
                    ["noise_strength"] => (format!("{place}.noise.weight"), array.clone().insert_axis(Axis(0))),
                    ["weight"] => (format!("{place}.conv.weight"), array.clone().insert_axis(Axis(0))),
                    ["bias"] if layer == "torgb" => {
                        let array = array.clone().into_shape_with_order(IxDyn(&[1, array.len(), 1, 1])).unwrap();
                        (format!("{place}.bias"), array)
                    }
                    ["bias"] => (format!("{place}.activate.bias"), array.clone()),
                    ["affine", last] => (format!("{place}.conv.modulation.{last}"), array.clone()),
                    _ => panic!("{name}"),
                }
            }
            _ => panic!("{name}"),
        };
        out.insert(name, array);
    }
    for index in 1..weights.arch.channels.len() {
        out.insert(format!("convs.{}.conv.blur.kernel", 2 * (index - 1)), filter(4.0));
        out.insert(format!("to_rgbs.{}.upsample.kernel", index - 1), filter(4.0));
    }
    out
}

/// A residual discriminator's state dict.
pub fn critic(weights: &DiscriminatorWeights) -> Tensors {
    let blocks = weights.arch.channels.len() - 1;
    let mut out = Tensors::new();
    for (name, array) in &weights.tensors {
        let (block, rest) = name.split_once('.').unwrap();
        let index = (0..=blocks).find(|&i| block == format!("b{}", block_resolution(i))).unwrap();
        let place = format!("convs.{}", blocks + 1 - index);
        let name = match (index, rest) {
            (0, "conv.weight") => "final_conv.0.weight".into(),
            (0, "conv.bias") => "final_conv.1.bias".into(),
            (0, _) => rest.replace("fc.", "final_linear.0.").replace("out.", "final_linear.1."),
            (_, "fromrgb.weight") => "convs.0.0.weight".into(),
            (_, "fromrgb.bias") => "convs.0.1.bias".into(),
            (_, "conv0.weight") => format!("{place}.conv1.0.weight"),
            (_, "conv0.bias") => format!("{place}.conv1.1.bias"),
            (_, "conv1.weight") => format!("{place}.conv2.1.weight"),
            (_, "conv1.bias") => format!("{place}.conv2.2.bias"),
            (_, "skip.weight") => format!("{place}.skip.1.weight"),
            _ => panic!("{name}"),
        };
        out.insert(name, array.clone());
    }
    for block in 1..=blocks {
        out.insert(format!("convs.{block}.conv2.0.kernel"), filter(1.0));
        out.insert(format!("convs.{block}.skip.0.kernel"), filter(1.0));
    }
    out
}

/// A file of state dicts by their names in it, and of lone tensors, with the storages that they look into.
pub fn state_dicts(
    networks: &[(&str, &Tensors)],
    lone: &[(&str, ArrayD<f32>)],
    legacy: bool,
) -> (Vec<(String, Py)>, Storages) {
    let mut all = Tensors::new();
    for (network, tensors) in networks {
        all.extend(tensors.iter().map(|(name, array)| (format!("{network}:{name}"), array.clone())));
    }
    all.extend(lone.iter().map(|(name, array)| (name.to_string(), array.clone())));
    let (entries, storages) = state_dict(&all, legacy);
    let of = |network: &str| {
        let own = entries.iter().filter_map(|(name, value)| {
            let (of, own) = name.split_once(':')?;
            (of == network).then(|| (own.to_owned(), value.clone()))
        });
        ordered_dict(own.collect::<Vec<_>>())
    };
    let mut file: Vec<(String, Py)> = networks.iter().map(|(name, _)| (name.to_string(), of(name))).collect();
    file.extend(entries.iter().filter(|(name, _)| !name.contains(':')).cloned());
    (file, storages)
}

/// The entries that a training adds: optimisers, its arguments, the state of the augmentation.
pub fn training() -> Vec<(String, Py)> {
    let moments = Py::Dict(vec![(Py::Int(0), dict([("step", Py::Int(3)), ("exp_avg", Py::None)]))]);
    let groups = Py::List(vec![dict([("lr", Py::Float(0.002)), ("params", Py::List(vec![Py::Int(0)]))])]);
    let arguments = Py::Build(
        Box::new(call("argparse", "Namespace", vec![])),
        Box::new(dict([("path", text("lmdb")), ("size", Py::Int(16)), ("latent", Py::Int(32))])),
    );
    vec![
        ("g_optim".into(), dict([("state", moments), ("param_groups", groups)])),
        ("args".into(), arguments),
        ("ada_aug_p".into(), Py::Float(0.0)),
    ]
}
