//! One image, as Python describes it.

use std::time::{Duration, Instant};

use nickeldime_core::generator::{Join, Latent, Noise, Sample};
use nickeldime_core::pack::NoiseKind;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::array::numbers;

/// Python is asked so often whether Ctrl-C was pressed.
const SIGNALS: Duration = Duration::from_millis(100);

/// The description of one image, with numbers of its own.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    latent: Numbers,
    psi: i16,
    noise: Noise,
}

#[derive(Clone, Debug)]
enum Numbers {
    Seed(u64),
    Pair([u64; 2], Join),
    Z(Vec<i16>),
    W(Vec<i32>),
    Layers(Vec<i32>),
}

/// The arguments that describe an image of a model.
pub(crate) struct Arguments<'a, 'py> {
    pub seed: u64,
    pub psi: f64,
    pub w: Option<&'a Bound<'py, PyAny>>,
    pub z: Option<&'a Bound<'py, PyAny>>,
    pub mix: Option<(u64, u8)>,
    pub towards: Option<(u64, f64)>,
    pub noise: Option<&'a str>,
}

impl Arguments<'_, '_> {
    /// Checks everything that needs no model but for its own `noise`.
    pub fn checked(&self, noise: NoiseKind) -> PyResult<Drawing> {
        let ways = [self.w.is_some(), self.z.is_some(), self.mix.is_some(), self.towards.is_some()];
        if ways.iter().filter(|given| **given).count() > 1 {
            return Err(PyValueError::new_err("w, z, mix and towards exclude one another: give one of them at most"));
        }
        let latent = match (self.w, self.z, self.mix, self.towards) {
            (Some(w), ..) => given_w(w)?,
            (_, Some(z), ..) => given_z(z)?,
            (.., Some((other, layer)), _) => Numbers::Pair([self.seed, other], Join::Cut(layer)),
            (.., Some((other, weight))) => {
                Numbers::Pair([self.seed, other], Join::Weight(q14("the weight of towards", weight)?))
            }
            _ => Numbers::Seed(self.seed),
        };
        Ok(Drawing { latent, psi: q14("psi", self.psi)?, noise: chosen(self.noise, noise, self.seed)? })
    }
}

impl Drawing {
    /// On the way from one seed to another, with one noise all the way.
    pub fn between(seeds: [u64; 2], weight: f64, psi: i16, noise: Noise) -> PyResult<Self> {
        let latent = Numbers::Pair(seeds, Join::Weight(q14("the weight", weight)?));
        Ok(Self { latent, psi, noise })
    }

    /// The same latent in the core's own type.
    pub fn sample(&self) -> Sample<'_> {
        let latent = match &self.latent {
            Numbers::Seed(seed) => Latent::Seed(*seed),
            Numbers::Pair(seeds, join) => Latent::Pair { seeds: *seeds, join: *join },
            Numbers::Z(z) => Latent::Z(z),
            Numbers::W(w) => Latent::W(w),
            Numbers::Layers(layers) => Latent::Layers(layers),
        };
        Sample { latent, psi: self.psi, noise: self.noise }
    }
}

/// The noise of that name, or the model's own.
pub(crate) fn chosen(name: Option<&str>, model: NoiseKind, seed: u64) -> PyResult<Noise> {
    Ok(match (name, model) {
        (Some("none"), _) | (None, NoiseKind::None) => Noise::None,
        (Some("const"), _) | (None, NoiseKind::Const) => Noise::Const,
        (Some("random"), _) | (None, NoiseKind::Random) => Noise::Random(seed),
        (Some(name), _) => {
            let text = format!("noise {name:?}: it is \"none\", \"const\", \"random\", or None for the model's own");
            return Err(PyValueError::new_err(text));
        }
    })
}

/// A number below 2 in the device's Q14.
pub(crate) fn q14(name: &str, x: f64) -> PyResult<i16> {
    // As the command's options are: in 32 bits first.
    let narrow = x as f32;
    if !narrow.is_finite() || narrow.abs() >= 2.0 {
        return Err(PyValueError::new_err(format!("{name} is {x}: it must be above -2 and below 2")));
    }
    Ok(fixed(narrow, 14).clamp(i16::MIN.into(), i16::MAX.into()) as i16)
}

/// `x` with `bits` fractional bits, limited to 32 bits.
fn fixed(x: f32, bits: i32) -> i32 {
    (f64::from(x) * 2f64.powi(bits)).round() as i32
}

fn finite(name: &str, values: &Bound<'_, PyAny>) -> PyResult<(Vec<f32>, Vec<usize>)> {
    let (numbers, shape) = numbers(values)?;
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok((numbers, shape)),
        false => Err(PyValueError::new_err(format!("{name} has numbers that are not finite"))),
    }
}

fn given_w(values: &Bound<'_, PyAny>) -> PyResult<Numbers> {
    let (w, shape) = finite("w", values)?;
    let fixed: Vec<i32> = w.iter().map(|&x| fixed(x, 16)).collect();
    match shape[..] {
        [_] => Ok(Numbers::W(fixed)),
        // Projectors often give every layer the same w, which is quicker to send.
        [_, w_dim] if w_dim > 0 && w.chunks(w_dim).all(|layer| layer == &w[..w_dim]) => {
            Ok(Numbers::W(fixed[..w_dim].to_vec()))
        }
        [..] if shape.len() == 2 => Ok(Numbers::Layers(fixed)),
        _ => {
            let text = format!("w has the shape {shape:?}: it is [w_dim], or [num_ws, w_dim] for a w for every layer");
            Err(PyValueError::new_err(text))
        }
    }
}

fn given_z(values: &Bound<'_, PyAny>) -> PyResult<Numbers> {
    let (z, shape) = finite("z", values)?;
    if shape.len() != 1 {
        return Err(PyValueError::new_err(format!("z has the shape {shape:?}: it is [z_dim]")));
    }
    Ok(Numbers::Z(z.iter().map(|&x| fixed(x, 12).clamp(i16::MIN.into(), i16::MAX.into()) as i16).collect()))
}

/// Asks Python now and then whether Ctrl-C was pressed, and keeps what a handler raised.
pub(crate) struct Interrupts {
    asked: Instant,
    raised: Option<PyErr>,
}

impl Interrupts {
    pub fn new() -> Self {
        Self { asked: Instant::now(), raised: None }
    }

    /// Returns true when the drawing is to stop. This takes Python's lock for a moment.
    pub fn stopped(&mut self) -> bool {
        if self.raised.is_none() && self.asked.elapsed() > SIGNALS {
            self.asked = Instant::now();
            self.raised = Python::attach(|py| py.check_signals()).err();
        }
        self.raised.is_some()
    }

    /// Keeps an exception of a callback; the first one counts.
    pub fn keep(&mut self, raised: PyErr) {
        self.raised.get_or_insert(raised);
    }

    /// What was raised.
    pub fn end(self) -> PyResult<()> {
        self.raised.map_or(Ok(()), Err)
    }
}
