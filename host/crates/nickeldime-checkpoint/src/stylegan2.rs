//! StyleGAN2-ADA's `.pkl`: a dict of networks, each a tree of modules with their attributes, parameters and buffers.
//!
//! The networks of this crate are fixed formulas. So every attribute that would change the formula is compared with what
//! the formula assumes, and a difference is refused by its name rather than computed wrongly.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use super::error::{CheckpointError, printable};
use super::model::weights::{Checkpoint, DiscriminatorWeights, GeneratorWeights, Remark, Tensors};
use super::pickle::{Global, Pickle, Value, View};
use super::place::{STYLEGAN3, join, placed, refused};
use super::torch_legacy::{Storages, TensorError, TensorView, is_magic};
use super::{networks, torch_file};
use crate::model::arch::{DeviationGroup, DiscriminatorArch, GeneratorArch, Shapes};

/// Reads a checkpoint from the bytes of a pickle, or of a file that begins with one.
pub(super) fn read_checkpoint(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let pickle = Pickle::read(bytes, 0).map_err(|e| refused(path, e, ""))?;
    if is_magic(&pickle.view(pickle.root())) {
        return torch_file::with_legacy(path, bytes, |file| networks::read(file, &networks::Hints::default()));
    }
    if pickle.end() != bytes.len() {
        let problem = "the pickle ends before the file does: damaged, or not a checkpoint";
        return Err(CheckpointError::damaged(path, pickle.end(), problem));
    }
    let file = PickleFile { path, pickle: &pickle };
    let networks = file.fields(pickle.root(), "")?;
    let Some(&generator) = networks.get("G_ema") else {
        let problem = "no G_ema in it: not a StyleGAN2-ADA checkpoint";
        return Err(CheckpointError::format(path, problem));
    };
    // A checkpoint has at least as many bytes as numbers (twice as many as float16). A file that claims more numbers
    // refers to the same storage again and again.
    let mut room = bytes.len() / 2 + (64 << 10);
    let mut checkpoint = Checkpoint::of_generator(file.generator("G_ema", generator, &mut room)?);
    if let Some(&value) = networks.get("D")
        && value != Value::None
    {
        checkpoint.take_critic("D", file.discriminator("D", value, &mut room))?;
    }
    Ok(checkpoint)
}

impl Checkpoint {
    /// Adds the discriminator, if it was read. One that cannot be read is left out with a remark, because most uses of a
    /// checkpoint need only the generator.
    ///
    /// # Errors
    /// [`CheckpointError::Forbidden`]: a file that names such a function is refused as a whole.
    pub(super) fn take_critic(
        &mut self,
        name: &str,
        critic: Result<DiscriminatorWeights, CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let images = |resolution: usize, img_channels: usize| format!("{img_channels} x {resolution} x {resolution}");
        let own = images(self.generator.arch.resolution(), self.generator.arch.img_channels);
        let reason = match critic.map(|critic| (images(critic.arch.resolution(), critic.arch.img_channels), critic)) {
            Ok((its, critic)) if its == own => {
                self.discriminator = Some(critic);
                return Ok(());
            }
            Ok((its, _)) => format!("{name}: images of {its}, the generator's are {own}"),
            Err(error @ CheckpointError::Forbidden { .. }) => return Err(error),
            Err(error) => error.detail(),
        };
        self.remarks.push(Remark::CriticNotRead { name: name.into(), reason });
        Ok(())
    }
}

/// Attributes of a module or entries of a dict, by name.
type Fields<'p> = BTreeMap<&'p str, Value>;

/// A module's class and attributes.
struct Module<'p> {
    class: &'p str,
    fields: Fields<'p>,
}

/// A network split into modules and tensors, by their names in it ("" is the network itself).
#[derive(Default)]
struct Network<'p> {
    modules: BTreeMap<String, Module<'p>>,
    tensors: BTreeMap<String, TensorView>,
}

impl Network<'_> {
    fn shapes(&self) -> Shapes {
        let shape = |(name, view): (&String, &TensorView)| (name.clone(), view.shape().to_vec());
        self.tensors.iter().map(shape).collect()
    }
}

struct PickleFile<'f, 'p> {
    path: &'f Path,
    pickle: &'p Pickle<'p>,
}

impl<'p> PickleFile<'_, 'p> {
    fn generator(&self, name: &str, value: Value, room: &mut usize) -> Result<GeneratorWeights, CheckpointError> {
        let network = self.network(name, value)?;
        if network.modules.contains_key("synthesis.input") {
            return Err(CheckpointError::network(self.path, name, STYLEGAN3));
        }
        let rules = Rules { file: self, name, network: &network };
        rules.kind("Generator", &["skip"])?;
        let arch = GeneratorArch::from_shapes(&network.shapes());
        let arch = arch.map_err(|e| placed(self.path, &format!("{name}."), e))?;
        rules.generator(&arch)?;
        let conv_clamp = rules.conv_clamp(&["SynthesisLayer", "ToRGBLayer"])?;
        let tensors = self.tensors(name, &network, room)?;
        let weights = GeneratorWeights::from_tensors(tensors, conv_clamp);
        weights.map_err(|e| placed(self.path, &format!("{name}."), e))
    }

    fn discriminator(
        &self,
        name: &str,
        value: Value,
        room: &mut usize,
    ) -> Result<DiscriminatorWeights, CheckpointError> {
        let network = self.network(name, value)?;
        let rules = Rules { file: self, name, network: &network };
        rules.kind("Discriminator", &["resnet", "skip", "orig"])?;
        let arch = DiscriminatorArch::from_shapes(&network.shapes());
        let arch = arch.map_err(|e| placed(self.path, &format!("{name}."), e))?;
        rules.discriminator(&arch)?;
        let conv_clamp = rules.conv_clamp(&["Conv2dLayer"])?;
        let group = rules.mbstd_group(&arch)?;
        let tensors = self.tensors(name, &network, room)?;
        let weights = DiscriminatorWeights::from_tensors(tensors, group, conv_clamp);
        weights.map_err(|e| placed(self.path, &format!("{name}."), e))
    }

    /// Reads the numbers of every tensor. `room` is how many numbers the file may still have.
    fn tensors(&self, name: &str, network: &Network, room: &mut usize) -> Result<Tensors, CheckpointError> {
        let mut tensors = Tensors::new();
        let mut storages = Storages::default();
        for (tensor, view) in &network.tensors {
            let place = format!("{name}.{tensor}");
            let fail = |problem: &str| CheckpointError::network(self.path, &place, problem);
            let left = view.len().and_then(|len| room.checked_sub(len));
            *room = left.ok_or_else(|| fail("more numbers than the file has: damaged"))?;
            let numbers = view.read(self.pickle, &mut storages).map_err(|e| match e {
                TensorError::View(problem) => fail(&problem),
                TensorError::Storage(error) => refused(self.path, error, &place),
            })?;
            let array = ArrayD::from_shape_vec(IxDyn(view.shape()), numbers);
            let array = array.map_err(|e| fail(&e.to_string()))?;
            tensors.insert(tensor.clone(), array);
        }
        Ok(tensors)
    }

    fn network(&self, name: &str, value: Value) -> Result<Network<'p>, CheckpointError> {
        let mut network = Network::default();
        self.collect(&mut network, name, "", value, 0)?;
        Ok(network)
    }

    /// Adds a module and those inside it. `name` is the network's name, `path` the module's name in it.
    fn collect(
        &self,
        network: &mut Network<'p>,
        name: &str,
        path: &str,
        value: Value,
        depth: usize,
    ) -> Result<(), CheckpointError> {
        /// The deepest nesting. Generator, synthesis, block, layer, affine are 5. A module that contains itself would
        /// not end.
        const DEEPEST: usize = 8;
        /// The largest number of modules and tensors. The largest network, 1024x1024, has 62 modules and 200 tensors.
        const MOST: usize = 1000;
        let place = join(name, path);
        let fail = |problem: &str| Err(CheckpointError::network(self.path, &place, problem));
        if depth > DEEPEST || network.modules.len() > MOST || network.tensors.len() > MOST {
            return fail("more modules than a StyleGAN2 network has: damaged");
        }
        let View::Object { callable: Global::PersistentObject, arguments: &[meta], .. } = self.pickle.view(value)
        else {
            return match self.pickle.name(value) {
                Some(name) => fail(&format!("made by {name}: not a StyleGAN2-ADA module")),
                None => fail("not a StyleGAN2-ADA module: not a checkpoint, or of another project"),
            };
        };
        let meta = self.fields(meta, &place)?;
        let Some(View::Text(class)) = meta.get("class_name").map(|&v| self.pickle.view(v)) else {
            return fail("a module without a class name: damaged");
        };
        let Some(&state) = meta.get("state") else {
            return fail("a module without a state: damaged");
        };
        let mut fields = self.fields(state, &place)?;
        for group in ["_parameters", "_buffers"] {
            let Some(tensors) = fields.remove(group) else {
                continue;
            };
            for (tensor, value) in self.fields(tensors, &join(&place, group))? {
                if value == Value::None {
                    continue;
                }
                let short = join(path, tensor);
                let view = TensorView::of(self.pickle, value);
                let view = view.map_err(|problem| CheckpointError::network(self.path, join(name, &short), problem))?;
                network.tensors.insert(short, view);
            }
        }
        let modules = fields.remove("_modules");
        network.modules.insert(path.into(), Module { class, fields });
        if let Some(modules) = modules {
            for (module, value) in self.fields(modules, &join(&place, "_modules"))? {
                if value != Value::None {
                    self.collect(network, name, &join(path, module), value, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// A dict's entries by name. The last entry of a name counts, as in Python. Entries whose keys are not texts are
    /// ignored.
    fn fields(&self, value: Value, place: &str) -> Result<Fields<'p>, CheckpointError> {
        /// The largest number of attributes. Modules have some 40, with names of a few words.
        const MOST: usize = 1000;
        const LONGEST: usize = 100;
        let fail = |problem: &str| match place {
            "" => Err(CheckpointError::format(self.path, problem)),
            _ => Err(CheckpointError::network(self.path, place, problem)),
        };
        let View::Dict(entries) = self.pickle.view(value) else {
            return fail("not a dict: not a StyleGAN2-ADA checkpoint");
        };
        let mut fields = Fields::new();
        for (count, (key, value)) in entries.enumerate() {
            if count >= MOST {
                return fail("a dict of more entries than a StyleGAN2-ADA checkpoint has: damaged");
            }
            if let View::Text(key) = self.pickle.view(key)
                && key.len() <= LONGEST
            {
                fields.insert(key, value);
            }
        }
        Ok(fields)
    }
}

/// Checks that a file's attributes are what this crate's networks assume. An attribute that a file does not have is not
/// checked, because releases differ in what they keep.
struct Rules<'n, 'f, 'p> {
    file: &'n PickleFile<'f, 'p>,
    /// The network's name in the file.
    name: &'n str,
    network: &'n Network<'p>,
}

impl Rules<'_, '_, '_> {
    /// Checks what a tensor's shape could not explain as well. These checks come first, for better messages.
    fn kind(&self, class: &str, architectures: &[&str]) -> Result<(), CheckpointError> {
        self.class("", class)?;
        for path in self.network.modules.keys() {
            for c_dim in ["c_dim", "cmap_dim"] {
                if self.number_at(path, c_dim)?.is_some_and(|c| c != 0.0) {
                    let problem = "conditional network: only unconditional ones (0) are supported";
                    return Err(self.wrong(path, c_dim, problem));
                }
            }
            if self.number_at(path, "img_channels")?.is_some_and(|c| c != 3.0 && c != 1.0) {
                let problem = "only RGB (3) and grey (1) networks are supported";
                return Err(self.wrong(path, "img_channels", problem));
            }
            self.text(path, "architecture", architectures)?;
        }
        Ok(())
    }

    fn generator(&self, arch: &GeneratorArch) -> Result<(), CheckpointError> {
        let (z_dim, w_dim) = (arch.z_dim as f64, arch.w_dim as f64);
        let num_ws = arch.num_ws() as f64;
        let resolution = arch.resolution() as f64;
        for path in self.network.modules.keys() {
            let (parent, own) = path.rsplit_once('.').unwrap_or(("", path));
            let class = match own {
                "" => "Generator",
                "mapping" => "MappingNetwork",
                "synthesis" => "SynthesisNetwork",
                "conv0" | "conv1" => "SynthesisLayer",
                "torgb" => "ToRGBLayer",
                "affine" => "FullyConnectedLayer",
                _ if parent == "mapping" => "FullyConnectedLayer",
                _ => "SynthesisBlock",
            };
            self.class(path, class)?;
            match class {
                "Generator" | "MappingNetwork" | "SynthesisNetwork" => {
                    self.number(path, "z_dim", z_dim)?;
                    self.number(path, "w_dim", w_dim)?;
                    self.number(path, "num_ws", num_ws)?;
                    self.number(path, "img_resolution", resolution)?;
                    self.number(path, "num_layers", arch.mapping_layers as f64)?;
                    self.number(path, "img_channels", arch.img_channels as f64)?;
                }
                "SynthesisBlock" => {
                    self.number(path, "w_dim", w_dim)?;
                    self.number(path, "img_channels", arch.img_channels as f64)?;
                    self.number(path, "resolution", block_number(own))?;
                }
                "SynthesisLayer" => {
                    self.number(path, "resolution", block_number(parent))?;
                    self.number(path, "up", if own == "conv0" { 2.0 } else { 1.0 })?;
                    self.number(path, "padding", 1.0)?;
                    self.number(path, "act_gain", f64::sqrt(2.0))?;
                    self.text(path, "activation", &["lrelu"])?;
                    self.flag(path, "use_noise", true)?;
                }
                "ToRGBLayer" => self.gain(path, 1.0)?,
                _ => {
                    let mapping = own != "affine";
                    let rate = if mapping { 0.01 } else { 1.0 };
                    self.text(path, "activation", &[if mapping { "lrelu" } else { "linear" }])?;
                    self.gain(path, rate)?;
                    self.number(path, "bias_gain", rate)?;
                }
            }
        }
        Ok(())
    }

    fn discriminator(&self, arch: &DiscriminatorArch) -> Result<(), CheckpointError> {
        for path in self.network.modules.keys() {
            let own = path.rsplit('.').next().unwrap_or_default();
            let class = match own {
                "" => "Discriminator",
                "b4" => "DiscriminatorEpilogue",
                "mbstd" => "MinibatchStdLayer",
                "fc" | "out" => "FullyConnectedLayer",
                "fromrgb" | "conv0" | "conv1" | "conv" | "skip" => "Conv2dLayer",
                _ => "DiscriminatorBlock",
            };
            self.class(path, class)?;
            match class {
                "Discriminator" => {
                    self.number(path, "img_resolution", arch.resolution() as f64)?;
                    self.number(path, "img_channels", arch.img_channels as f64)?;
                }
                "DiscriminatorBlock" | "DiscriminatorEpilogue" => {
                    self.number(path, "resolution", block_number(own))?;
                    // The tensors have shown the architecture by now.
                    self.text(path, "architecture", &[arch.architecture.name()])?;
                }
                "MinibatchStdLayer" => self.number(path, "num_channels", 1.0)?,
                "Conv2dLayer" => {
                    let skip = own == "skip";
                    let down = if skip || own == "conv1" { 2.0 } else { 1.0 };
                    let one_tap = skip || own == "fromrgb";
                    self.number(path, "up", 1.0)?;
                    self.number(path, "down", down)?;
                    self.number(path, "padding", if one_tap { 0.0 } else { 1.0 })?;
                    self.text(path, "activation", &[if skip { "linear" } else { "lrelu" }])?;
                    let act_gain = if skip { 1.0 } else { f64::sqrt(2.0) };
                    self.number(path, "act_gain", act_gain)?;
                    self.gain(path, 1.0)?;
                    if is_unlimited(path) && self.number_at(path, "conv_clamp")?.is_some() {
                        let problem = "a limit where official networks have none: not supported";
                        return Err(self.wrong(path, "conv_clamp", problem));
                    }
                }
                _ => {
                    let linear = own == "out";
                    self.text(path, "activation", &[if linear { "linear" } else { "lrelu" }])?;
                    self.gain(path, 1.0)?;
                    self.number(path, "bias_gain", 1.0)?;
                }
            }
        }
        Ok(())
    }

    /// The limit that all layers of these classes share. Layers that never have one are left out.
    fn conv_clamp(&self, classes: &[&str]) -> Result<Option<f32>, CheckpointError> {
        let mut common = None;
        for (path, module) in &self.network.modules {
            if !classes.contains(&module.class) || is_unlimited(path) {
                continue;
            }
            let clamp = self.number_at(path, "conv_clamp")?;
            if *common.get_or_insert(clamp) != clamp {
                let problem = "not the same in every layer: not supported";
                return Err(self.wrong(path, "conv_clamp", problem));
            }
        }
        Ok(common.flatten().map(|c| c as f32))
    }

    /// The group of the minibatch standard deviation. `None` in the file means the whole batch; StyleGAN2-ADA's
    /// converter writes that for TensorFlow's networks.
    fn mbstd_group(&self, arch: &DiscriminatorArch) -> Result<DeviationGroup, CheckpointError> {
        let path = "b4.mbstd";
        if arch.mbstd_group == DeviationGroup::Absent {
            return Ok(DeviationGroup::Absent);
        }
        match (self.value(path, "group_size"), self.number_at(path, "group_size")?) {
            (Some(Value::None), _) => Ok(DeviationGroup::Batch),
            (_, Some(n)) if (1.0..=65536.0).contains(&n) && n.fract() == 0.0 => Ok(DeviationGroup::Samples(n as usize)),
            _ => {
                let problem = "expected a number of samples for the minibatch standard deviation, or None";
                Err(self.wrong(path, "group_size", problem))
            }
        }
    }

    // Checks of one attribute each.

    fn class(&self, path: &str, expected: &str) -> Result<(), CheckpointError> {
        match self.network.modules.get(path) {
            Some(module) if module.class != expected => {
                let found = printable(module.class.as_bytes());
                let problem = format!("a module of class {found}: only {expected} is supported");
                let place = join(self.name, path);
                Err(CheckpointError::network(self.file.path, place, problem))
            }
            _ => Ok(()),
        }
    }

    fn number(&self, path: &str, field: &str, expected: f64) -> Result<(), CheckpointError> {
        match self.number_at(path, field)? {
            Some(found) if (found - expected).abs() > 1e-6 * expected.abs() || found.is_nan() => {
                let problem = format!("only {expected} is supported here");
                Err(self.wrong(path, field, &problem))
            }
            _ => Ok(()),
        }
    }

    /// Checks the gain of an equalised learning rate: `rate / sqrt(inputs)`.
    fn gain(&self, path: &str, rate: f64) -> Result<(), CheckpointError> {
        let weight = self.network.tensors.get(&format!("{path}.weight"));
        let inputs = weight.and_then(|w| w.shape().get(1..));
        // The shape is known by now to be that of the architecture.
        let inputs = inputs.map_or(1.0, |axes| axes.iter().map(|&n| n as f64).product());
        self.number(path, "weight_gain", rate / f64::sqrt(inputs))
    }

    /// Checks that a text is one of `expected`.
    fn text(&self, path: &str, field: &str, expected: &[&str]) -> Result<(), CheckpointError> {
        match self.value(path, field) {
            None => Ok(()),
            Some(value) => match self.file.pickle.view(value) {
                View::Text(found) if expected.contains(&found) => Ok(()),
                _ => Err(self.wrong(path, field, &format!("only {} is supported", expected.join(" or ")))),
            },
        }
    }

    fn flag(&self, path: &str, field: &str, expected: bool) -> Result<(), CheckpointError> {
        match self.value(path, field) {
            Some(value) if value != Value::Bool(expected) => {
                Err(self.wrong(path, field, &format!("only {expected} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Reads a number; `None` if the file has `None` or no such attribute.
    fn number_at(&self, path: &str, field: &str) -> Result<Option<f64>, CheckpointError> {
        match self.value(path, field) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match self.file.pickle.number(value) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(path, field, "expected a number")),
            },
        }
    }

    fn value(&self, path: &str, field: &str) -> Option<Value> {
        let module = self.network.modules.get(path)?;
        module.fields.get(field).copied()
    }

    /// An error about an attribute, with its value.
    fn wrong(&self, path: &str, field: &str, problem: &str) -> CheckpointError {
        let found = self.value(path, field).map(|v| self.file.pickle.view(v));
        let found = match found {
            None => "missing".into(),
            Some(View::None) => "None".into(),
            Some(View::Bool(b)) => b.to_string(),
            Some(View::Int(i)) => i.to_string(),
            Some(View::Text(text)) => printable(text.as_bytes()),
            Some(_) => {
                let number = self.value(path, field).and_then(|v| self.file.pickle.number(v));
                number.map_or("not a number".into(), |n| n.to_string())
            }
        };
        let place = join(&join(self.name, path), field);
        CheckpointError::network(self.file.path, place, format!("{found}: {problem}"))
    }
}

/// True for a discriminator's layer that has no limit even if the others have one.
fn is_unlimited(path: &str) -> bool {
    path.ends_with(".skip") || path == "b4.fromrgb"
}

/// The resolution in a block's name: 32 for `synthesis.b32` or `b32`. Other names give NaN, which equals nothing.
fn block_number(path: &str) -> f64 {
    let own = path.rsplit('.').next().unwrap_or_default();
    let digits = own.strip_prefix('b').and_then(|n| n.parse().ok());
    digits.unwrap_or(f64::NAN)
}
