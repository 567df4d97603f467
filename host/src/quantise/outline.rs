//! Predicts the size of a pack and the RAM for its images from the architecture alone, before any training.

use nickeldime_checkpoint::model::arch::{GeneratorArch, block_resolution};
use nickeldime_core::generator::Ram;
use nickeldime_core::kernel::layout::conv_len;
use nickeldime_core::number::{Gain, Requant};
use nickeldime_core::pack::layout::{Block, Conv, Dense, Header, NoiseMap, ToRgb, WeightWidth};
use nickeldime_core::pack::write::ArrayPlaces;
use nickeldime_core::pack::{NoiseKind, PackError};

use super::write::PackOptions;

/// The predicted sizes of an architecture's pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Bytes of the pack. The value is right to a few dozen bytes, because the length of a header depends on its values.
    pub bytes: usize,
    /// Bytes of RAM for an image, by part; exact.
    pub ram: Ram,
}

impl Outline {
    /// The outline of `arch` packed with these options, for noise strengths that are not 0.
    ///
    /// # Errors
    /// [`PackError::TooLarge`], or [`PackError::Header`] for more layers than a header holds.
    pub fn of(arch: &GeneratorArch, options: &PackOptions) -> Result<Self, PackError> {
        let mut layout = Layout { arch, options, places: ArrayPlaces::default() };
        let header = layout.header().ok_or(PackError::Header)?;
        let bytes = layout.places.pack_len(&header)?;
        Ok(Self { bytes, ram: Ram::of(&header)? })
    }
}

/// Places arrays one after the other.
struct Layout<'a> {
    arch: &'a GeneratorArch,
    options: &'a PackOptions,
    places: ArrayPlaces,
}

/// A placeholder that is encoded as long as a typical value.
const REQUANT: Requant = Requant { multiplier: i32::MAX, shift: 40 };
const GAIN: Gain = Gain { mantissa: u32::MAX >> 1, exponent: -20 };

impl<'a> Layout<'a> {
    fn header(&mut self) -> Option<Header<'a>> {
        let arch = self.arch;
        let mut mapping = heapless::Vec::new();
        for index in 0..arch.mapping_layers {
            let inputs = if index == 0 { arch.z_dim } else { arch.w_dim };
            mapping.push(self.dense(inputs, arch.w_dim, self.options.mapping)).ok()?;
        }
        let w_average = self.array(4 * arch.w_dim);
        let constant = self.array(2 * 16 * arch.channels.first()?);
        let mut blocks = heapless::Vec::new();
        for (index, &channels) in arch.channels.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| arch.channels[before]);
            let block = Block {
                conv0: before.map(|inputs| self.conv(inputs, channels, index)),
                conv1: self.conv(channels, channels, index),
                torgb: ToRgb {
                    affine: self.affine(channels),
                    rgb: self.dense(channels, arch.img_channels, self.options.rgb),
                    limit: i32::MAX >> 2,
                },
            };
            blocks.push(block).ok()?;
        }
        Some(Header {
            name: &self.options.name,
            channels: arch.img_channels as u8,
            z_dim: arch.z_dim as u16,
            w_dim: arch.w_dim as u16,
            image_fraction: 6,
            noise: NoiseKind::Const,
            const_noise: self.options.const_noise.is_some(),
            w_average,
            constant,
            mapping,
            blocks,
        })
    }

    fn array(&mut self, bytes: usize) -> u32 {
        self.places.take(bytes)
    }

    fn dense(&mut self, inputs: usize, outputs: usize, width: WeightWidth) -> Dense {
        Dense {
            inputs: inputs as u16,
            outputs: outputs as u16,
            width,
            weights: self.array(inputs * outputs * width.bytes()),
            scales: self.array(4 * outputs),
            biases: self.array(4 * outputs),
            shift: 30,
            fraction: 20,
        }
    }

    fn affine(&mut self, channels: usize) -> Dense {
        self.dense(self.arch.w_dim, channels, self.options.affine)
    }

    fn conv(&mut self, inputs: usize, outputs: usize, index: usize) -> Conv {
        let pixels = block_resolution(index).pow(2);
        Conv {
            affine: self.affine(inputs),
            outputs: outputs as u16,
            weights: self.array(conv_len(inputs, outputs)),
            biases: self.array(4 * outputs),
            modulation_shift: 20,
            gain: GAIN,
            fir: Some(REQUANT),
            limit: i16::MAX,
            noise: REQUANT,
            noise_map: self.options.const_noise.map(|width| NoiseMap {
                width,
                values: self.array(pixels * width.bytes()),
                scale: REQUANT,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{NoiseMode, Preview};
    use crate::quantise::{LOOKS, write_pack};
    use nickeldime_checkpoint::model::arch::{GREY, RGB};
    use nickeldime_checkpoint::model::initial;
    use nickeldime_core::pack::Pack;

    #[test]
    fn an_outline_is_what_the_packer_writes() {
        let noise = PackOptions { const_noise: Some(WeightWidth::I8), ..PackOptions::default() };
        let eight = PackOptions { mapping: WeightWidth::I8, ..PackOptions::default() };
        for (channels, img_channels, options) in
            [(vec![5, 4, 4, 3], RGB, &noise), (vec![17, 9, 6], RGB, &eight), (vec![5, 4, 4, 3], GREY, &noise)]
        {
            let arch = GeneratorArch {
                z_dim: 24,
                w_dim: 24,
                mapping_layers: 3,
                channels,
                img_channels,
                conv_clamp: Some(256.0),
            };
            let weights = initial::like_trained(&arch, 1);
            let calibration = Preview::new(&weights).unwrap().calibrate(&[0, 1], LOOKS, NoiseMode::Const, &mut |_| {});
            let written = write_pack(&weights, &calibration, options).unwrap();
            let outline = Outline::of(&arch, options).unwrap();
            let off = written.bytes.len().abs_diff(outline.bytes);
            assert!(off <= 64, "{} bytes, expected {}", written.bytes.len(), outline.bytes);
            assert_eq!(Pack::open(&written.bytes).unwrap().ram(), outline.ram);
        }
    }
}
