//! Draws images from latents with a float generator, with the integer engine on the host, or on a board.
//!
//! A [`DrawRequest`] says what to draw. [`DrawRequest::in_float`], [`DrawRequest::in_integers`] and
//! [`DrawRequest::on_device`] draw it; each returns a [`Drawn`].

pub mod device;
pub mod drawn;
pub mod error;
pub mod fixed;
pub mod float;
pub mod integers;
pub mod latent_file;
pub mod latents;
pub mod pairs;
pub mod request;

pub use drawn::Drawn;
pub use error::DrawError;
pub use float::Preview;
pub use integers::render;
pub use latents::{Latents, NoiseMode, device_noise};
pub use request::DrawRequest;
