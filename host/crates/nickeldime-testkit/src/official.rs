//! Writes checkpoints in the official format, of any shape, with any attribute or tensor replaced by a wrong one.

use std::collections::BTreeMap;

use ndarray::{ArrayD, IxDyn};
use nickeldime_checkpoint::model::arch::{DeviationGroup, DiscriminatorArch, GeneratorArch, RGB, block_resolution};
use nickeldime_checkpoint::model::weights::RESAMPLE_FILTER;
use nickeldime_checkpoint::{Checkpoint, DiscriminatorWeights, GeneratorWeights, Tensors};

use super::pickle_writer::{Py, call, dict, numpy_float, ordered_dict, pickle, text};

/// A checkpoint to write, and the replacements in it.
#[derive(Debug, Clone)]
pub struct Official {
    pub checkpoint: Checkpoint,
    /// Attributes that replace the right ones, by module and name: `("G_ema.synthesis.b4.conv1", "up")`.
    pub attributes: BTreeMap<(String, String), Py>,
    /// Tensors that replace the right ones, by full name; `Py::None` removes the tensor.
    pub tensors: BTreeMap<String, Py>,
    /// Module classes that replace the right ones.
    pub classes: BTreeMap<String, String>,
    /// Additional tensors, by module and name.
    pub more: Vec<(String, String, Py)>,
    /// Additional modules, by the module that contains them and name.
    pub children: Vec<(String, String, Py)>,
}

/// A generator at 8x8 with few channels. Its file has some 50 kB and every kind of content that a large one has.
pub fn small() -> GeneratorArch {
    let channels = vec![2, 3];
    GeneratorArch { z_dim: 3, w_dim: 4, mapping_layers: 2, channels, img_channels: RGB, conv_clamp: None }
}

/// A generator at 64x64 with z wider than w, 3 mapping layers, a clamp, and different channel counts at every
/// resolution.
pub fn other() -> GeneratorArch {
    let channels = vec![10, 9, 8, 6, 5];
    GeneratorArch { z_dim: 24, w_dim: 16, mapping_layers: 3, channels, img_channels: RGB, conv_clamp: Some(256.0) }
}

/// Weights that differ everywhere and are reproducible.
pub fn weights(arch: &GeneratorArch) -> Checkpoint {
    let mut state = 1u32;
    let mut fill = |shapes: Vec<(String, Vec<usize>)>| -> Tensors {
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut array = |shape: &[usize]| ArrayD::from_shape_simple_fn(IxDyn(shape), &mut number);
        shapes.into_iter().map(|(n, s)| (n, array(&s))).collect()
    };
    let critic = DiscriminatorArch::beside(arch, 4);
    Checkpoint {
        generator: GeneratorWeights { tensors: fill(arch.tensor_shapes()), arch: arch.clone() },
        discriminator: Some(DiscriminatorWeights { tensors: fill(critic.tensor_shapes()), arch: critic }),
        remarks: Vec::new(),
    }
}

impl Official {
    pub fn new(arch: &GeneratorArch) -> Self {
        Self {
            checkpoint: weights(arch),
            attributes: BTreeMap::new(),
            tensors: BTreeMap::new(),
            classes: BTreeMap::new(),
            more: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Replaces the value of an attribute.
    pub fn attribute(mut self, module: &str, name: &str, value: Py) -> Self {
        self.attributes.insert((module.into(), name.into()), value);
        self
    }

    /// Replaces a tensor.
    pub fn tensor(mut self, name: &str, value: Py) -> Self {
        self.tensors.insert(name.into(), value);
        self
    }

    /// The bytes of the file.
    pub fn pickle(&self, protocol: u8) -> Vec<u8> {
        pickle(&self.object(), protocol)
    }

    /// The object that the file is a pickle of.
    pub fn object(&self) -> Py {
        let mut entries =
            vec![("training_set_kwargs", dict([("path", text("digits"))])), ("G_ema", self.generator("G_ema"))];
        if let Some(critic) = &self.checkpoint.discriminator {
            entries.push(("D", self.discriminator("D", critic)));
        }
        entries.push(("augment_pipe", Py::None));
        dict(entries)
    }

    fn generator(&self, name: &str) -> Py {
        let weights = &self.checkpoint.generator;
        let arch = &weights.arch;
        let int = |i: usize| Py::Int(i as i64);
        let network = Parts {
            official: self,
            name,
            tensors: &weights.tensors,
            clamp: arch.conv_clamp.map_or(Py::None, |c| Py::Float(c.into())),
        };
        let sizes = [
            ("z_dim", int(arch.z_dim)),
            ("c_dim", Py::Int(0)),
            ("w_dim", int(arch.w_dim)),
            ("num_ws", int(arch.num_ws())),
        ];
        let image = [("img_resolution", int(arch.resolution())), ("img_channels", int(arch.img_channels))];

        let fc = (0..arch.mapping_layers).map(|i| {
            let own = format!("fc{i}");
            let module = network.linear(&format!("mapping.{own}"), "lrelu", 0.01);
            (own, module)
        });
        let layers = [("num_layers", int(arch.mapping_layers)), ("w_avg_beta", Py::Float(0.995))];
        let mapping = network.module(
            "mapping",
            "MappingNetwork",
            &[],
            &["w_avg"],
            fc.collect(),
            sizes.iter().chain(&layers).cloned().collect(),
        );

        let blocks = (0..arch.channels.len()).map(|i| {
            let own = format!("b{}", block_resolution(i));
            let path = format!("synthesis.{own}");
            let mut children = Vec::new();
            if i > 0 {
                children.push(("conv0".into(), network.synthesis_layer(&path, "conv0", i)));
            }
            children.push(("conv1".into(), network.synthesis_layer(&path, "conv1", i)));
            children.push(("torgb".into(), network.to_rgb(&path)));
            let before = if i == 0 { 0 } else { arch.channels[i - 1] };
            let attributes = vec![
                ("in_channels", int(before)),
                ("w_dim", int(arch.w_dim)),
                ("resolution", int(block_resolution(i))),
                ("img_channels", int(arch.img_channels)),
                ("is_last", Py::Bool(i + 1 == arch.channels.len())),
                ("architecture", text("skip")),
                ("use_fp16", Py::Bool(false)),
            ];
            let constant: &[&str] = if i == 0 { &["const"] } else { &[] };
            let buffers = &["resample_filter"];
            let block = network.module(&path, "SynthesisBlock", constant, buffers, children, attributes);
            (own, block)
        });
        let synthesis = network.module(
            "synthesis",
            "SynthesisNetwork",
            &[],
            &[],
            blocks.collect(),
            sizes[2..3].iter().chain(&image).cloned().collect(),
        );
        network.module(
            "",
            "Generator",
            &[],
            &[],
            vec![("synthesis".into(), synthesis), ("mapping".into(), mapping)],
            sizes.iter().chain(&image).cloned().collect(),
        )
    }

    fn discriminator(&self, name: &str, weights: &DiscriminatorWeights) -> Py {
        let arch = &weights.arch;
        let int = |i: usize| Py::Int(i as i64);
        let network = Parts {
            official: self,
            name,
            tensors: &weights.tensors,
            clamp: arch.conv_clamp.map_or(Py::None, |c| Py::Float(c.into())),
        };
        let mut blocks = Vec::new();
        for i in (1..arch.channels.len()).rev() {
            let own = format!("b{}", block_resolution(i));
            let top = i + 1 == arch.channels.len();
            let layers = ["fromrgb", "conv0", "conv1", "skip"];
            let has = |layer: &&str| weights.tensors.contains_key(&format!("{own}.{layer}.weight"));
            let children = layers.into_iter().filter(has).map(|layer| {
                let module = network.conv(&format!("{own}.{layer}"), layer);
                (layer.to_string(), module)
            });
            let attributes = vec![
                ("in_channels", int(if top { 0 } else { arch.channels[i] })),
                ("resolution", int(block_resolution(i))),
                ("img_channels", int(arch.img_channels)),
                ("architecture", text(arch.architecture.name())),
                ("num_layers", Py::Int(3)),
            ];
            let children = children.collect();
            let buffers = &["resample_filter"];
            let block = network.module(&own, "DiscriminatorBlock", &[], buffers, children, attributes);
            blocks.push((own, block));
        }
        let mut children = vec![
            ("conv".into(), network.conv("b4.conv", "conv")),
            ("fc".into(), network.linear("b4.fc", "lrelu", 1.0)),
            ("out".into(), network.linear("b4.out", "linear", 1.0)),
        ];
        if arch.mbstd_group != DeviationGroup::Absent {
            let size = match arch.mbstd_group {
                DeviationGroup::Samples(samples) => int(samples),
                _ => Py::None,
            };
            let group = vec![("group_size", size), ("num_channels", Py::Int(1))];
            let mbstd = network.module("b4.mbstd", "MinibatchStdLayer", &[], &[], vec![], group);
            children.insert(0, ("mbstd".into(), mbstd));
        }
        if arch.has_fromrgb(4) {
            children.insert(0, ("fromrgb".into(), network.conv("b4.fromrgb", "fromrgb")));
        }
        let attributes = vec![
            ("in_channels", int(arch.channels[0])),
            ("cmap_dim", Py::Int(0)),
            ("resolution", Py::Int(4)),
            ("img_channels", int(arch.img_channels)),
            ("architecture", text(arch.architecture.name())),
        ];
        let epilogue = network.module("b4", "DiscriminatorEpilogue", &[], &[], children, attributes);
        blocks.push(("b4".into(), epilogue));
        let attributes = vec![
            ("c_dim", Py::Int(0)),
            ("img_resolution", int(arch.resolution())),
            ("img_channels", int(arch.img_channels)),
        ];
        network.module("", "Discriminator", &[], &[], blocks, attributes)
    }
}

/// One network of a checkpoint that is being written.
struct Parts<'a> {
    official: &'a Official,
    name: &'a str,
    tensors: &'a Tensors,
    clamp: Py,
}

type Attributes = Vec<(&'static str, Py)>;

impl Parts<'_> {
    fn module(
        &self,
        path: &str,
        class: &str,
        parameters: &[&str],
        buffers: &[&str],
        children: Vec<(String, Py)>,
        attributes: Attributes,
    ) -> Py {
        let full = match path {
            "" => self.name.to_string(),
            _ => format!("{}.{path}", self.name),
        };
        let official = self.official;
        let tensors = |names: &[&str], parameter| -> Vec<(String, Py)> {
            let value = |own: &&str| (own.to_string(), self.tensor(path, own, parameter));
            names.iter().map(value).collect()
        };
        let mut parameters = tensors(parameters, true);
        let more = official.more.iter().filter(|(module, ..)| *module == full);
        parameters.extend(more.map(|(_, name, value)| (name.clone(), value.clone())));
        let inside = official.children.iter().filter(|(module, ..)| *module == full);
        let children = children.into_iter().chain(inside.map(|(_, name, value)| (name.clone(), value.clone())));
        let mut state = vec![
            ("training", Py::Bool(false)),
            ("_parameters", ordered_dict(parameters)),
            ("_buffers", ordered_dict(tensors(buffers, false))),
            ("_non_persistent_buffers_set", Py::Set(vec![])),
            ("_backward_hooks", ordered_dict::<&str>([])),
            ("_is_full_backward_hook", Py::None),
            ("_forward_hooks", ordered_dict::<&str>([])),
            ("_forward_pre_hooks", ordered_dict::<&str>([])),
            ("_state_dict_hooks", ordered_dict::<&str>([])),
            ("_load_state_dict_pre_hooks", ordered_dict::<&str>([])),
            ("_modules", ordered_dict(children)),
        ];
        state.extend(attributes);
        state.push(("_init_args", Py::Tuple(vec![])));
        let options = Py::Filled(
            Box::new(call("dnnlib.util", "EasyDict", vec![])),
            vec![(text("channels_last"), Py::Bool(false))],
        );
        state.push(("_init_kwargs", options));
        for ((module, name), value) in &official.attributes {
            if *module == full
                && let Some(own) = state.iter_mut().find(|(own, _)| own == name)
            {
                own.1 = value.clone();
            }
        }
        let class = official.classes.get(&full).map_or(class, String::as_str);
        let meta = dict([
            ("type", text("class")),
            ("version", Py::Int(6)),
            ("module_src", text("")),
            ("class_name", text(class)),
            ("state", dict(state)),
        ]);
        call("torch_utils.persistence", "_reconstruct_persistent_obj", vec![meta])
    }

    fn tensor(&self, path: &str, own: &str, parameter: bool) -> Py {
        let short = format!("{path}.{own}");
        if let Some(other) = self.official.tensors.get(&format!("{}.{short}", self.name)) {
            return other.clone();
        }
        let (shape, numbers) = match own {
            "resample_filter" => (vec![4, 4], RESAMPLE_FILTER.to_vec()),
            _ => {
                let array = &self.tensors[&short];
                (array.shape().to_vec(), array.iter().copied().collect())
            }
        };
        let tensor = tensor(&shape, &numbers);
        let hooks = || ordered_dict::<&str>([]);
        match parameter {
            true => call("torch._utils", "_rebuild_parameter", vec![tensor, Py::Bool(false), hooks()]),
            false => tensor,
        }
    }

    fn linear(&self, path: &str, activation: &str, rate: f64) -> Py {
        let inputs = self.tensors[&format!("{path}.weight")].shape()[1];
        let attributes = vec![
            ("activation", text(activation)),
            ("weight_gain", numpy_float(rate / (inputs as f64).sqrt())),
            ("bias_gain", Py::Float(rate)),
        ];
        let parameters = &["weight", "bias"];
        self.module(path, "FullyConnectedLayer", parameters, &[], vec![], attributes)
    }

    fn synthesis_layer(&self, block: &str, own: &str, index: usize) -> Py {
        let path = format!("{block}.{own}");
        let affine = self.linear(&format!("{path}.affine"), "linear", 1.0);
        let attributes = vec![
            ("resolution", Py::Int(block_resolution(index) as i64)),
            ("up", Py::Int(if own == "conv0" { 2 } else { 1 })),
            ("use_noise", Py::Bool(true)),
            ("activation", text("lrelu")),
            ("conv_clamp", self.clamp.clone()),
            ("padding", Py::Int(1)),
            ("act_gain", numpy_float(2f64.sqrt())),
        ];
        let parameters = &["weight", "noise_strength", "bias"];
        let buffers = &["resample_filter", "noise_const"];
        let children = vec![("affine".into(), affine)];
        self.module(&path, "SynthesisLayer", parameters, buffers, children, attributes)
    }

    fn to_rgb(&self, block: &str) -> Py {
        let path = format!("{block}.torgb");
        let inputs = self.tensors[&format!("{path}.weight")].shape()[1];
        let affine = self.linear(&format!("{path}.affine"), "linear", 1.0);
        let attributes =
            vec![("conv_clamp", self.clamp.clone()), ("weight_gain", numpy_float(1.0 / (inputs as f64).sqrt()))];
        let children = vec![("affine".into(), affine)];
        self.module(&path, "ToRGBLayer", &["weight", "bias"], &[], children, attributes)
    }

    fn conv(&self, path: &str, own: &str) -> Py {
        let weight = self.tensors[&format!("{path}.weight")].shape();
        let inputs: usize = weight[1..].iter().product();
        let skip = own == "skip";
        let attributes = vec![
            ("activation", text(if skip { "linear" } else { "lrelu" })),
            ("up", Py::Int(1)),
            ("down", Py::Int(if skip || own == "conv1" { 2 } else { 1 })),
            ("conv_clamp", if skip || path == "b4.fromrgb" { Py::None } else { self.clamp.clone() }),
            ("padding", Py::Int(weight[3] as i64 / 2)),
            ("weight_gain", numpy_float(1.0 / (inputs as f64).sqrt())),
            ("act_gain", if skip { Py::Int(1) } else { numpy_float(2f64.sqrt()) }),
        ];
        let parameters = if skip { &["weight"][..] } else { &["weight", "bias"] };
        self.module(path, "Conv2dLayer", parameters, &["resample_filter"], vec![], attributes)
    }
}

/// A tensor with a storage of its own, row-major float32.
pub fn tensor(shape: &[usize], numbers: &[f32]) -> Py {
    let mut stride = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        stride[i - 1] = stride[i] * shape[i];
    }
    let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    view(storage("FloatStorage", numbers.len(), bytes), 0, shape, &stride)
}

/// A tensor as a view of a storage.
pub fn view(storage: Py, offset: usize, shape: &[usize], stride: &[usize]) -> Py {
    let ints = |list: &[usize]| Py::Tuple(list.iter().map(|&n| Py::Int(n as i64)).collect());
    let hooks = ordered_dict::<&str>([]);
    let arguments = vec![storage, Py::Int(offset as i64), ints(shape), ints(stride), Py::Bool(false), hooks];
    call("torch._utils", "_rebuild_tensor_v2", arguments)
}

/// A storage: a whole file of PyTorch's first format, in bytes. `count` numbers of `format` make up `data`.
pub fn storage(format: &'static str, count: usize, data: Vec<u8>) -> Py {
    let magic = [&[0x8a, 10][..], &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]];
    let mut file = pickle(&Py::Raw(magic.concat()), 2);
    file.extend(pickle(&Py::Int(1001), 2));
    let sizes = dict([("short", Py::Int(2)), ("int", Py::Int(4)), ("long", Py::Int(4))]);
    let machine = dict([("protocol_version", Py::Int(1001)), ("little_endian", Py::Bool(true)), ("type_sizes", sizes)]);
    file.extend(pickle(&machine, 2));
    let id = Py::Tuple(vec![
        text("storage"),
        Py::Global("torch", format),
        text("94012707408784"),
        text("cpu"),
        Py::Int(count as i64),
        Py::None,
    ]);
    file.extend(pickle(&Py::Persistent(Box::new(id)), 2));
    file.extend(pickle(&Py::List(vec![text("94012707408784")]), 2));
    file.extend((count as u64).to_le_bytes());
    file.extend(data);
    call("torch.storage", "_load_from_bytes", vec![Py::Bytes(file)])
}
