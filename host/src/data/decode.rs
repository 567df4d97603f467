//! From an image file's bytes to pixels.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, metadata::Orientation as Turn,
};
use serde::{Deserialize, Serialize};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// What is done about the orientation that cameras write into their files (EXIF): they store an image as the sensor
/// lies, and how it has to be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    /// Images are turned upright.
    #[default]
    Upright,
    /// Images stay as they are stored.
    Stored,
}

/// Decodes an image; returns an error if it is damaged or larger than `largest`. The format is that of the content. Of
/// several images in one file (frames of an animation, pages of a TIFF file), the first is taken.
pub(super) fn decoded(bytes: Vec<u8>, largest: u32, orientation: Orientation) -> Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let (mut image, turn) = match reader.format() {
        Some(ImageFormat::Jpeg) => decoded_jpeg(reader.into_inner().into_inner(), largest as usize)?,
        _ => decoded_other(reader, largest).map_err(|e| format!("damaged, or of a kind that is not read: {e}"))?,
    };
    if orientation == Orientation::Upright {
        image.apply_orientation(turn);
    }
    Ok(image)
}

fn decoded_other(reader: ImageReader<Cursor<Vec<u8>>>, largest: u32) -> Result<(DynamicImage, Turn), ImageError> {
    let mut decoder = reader.into_decoder()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(largest);
    limits.max_image_height = Some(largest);
    // Up to 16 bytes a pixel of the decoder's, beside the image itself.
    limits.max_alloc = Some(16 * u64::from(largest) * u64::from(largest));
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    // An orientation that is damaged is none.
    let turn = decoder.orientation().unwrap_or(Turn::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder)?, turn))
}

/// Decodes a JPEG strictly. The `image` crate would fill damaged or missing parts with grey and report nothing.
fn decoded_jpeg(bytes: Vec<u8>, largest: usize) -> Result<(DynamicImage, Turn), String> {
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(largest).set_max_height(largest);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let pixels = decoder.decode().map_err(|e| format!("damaged JPEG: {e:?}"))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let image = RgbImage::from_raw(width as u32, height as u32, pixels);
    let image = image.ok_or("damaged JPEG: fewer pixels than its header says")?;
    let turn = decoder.exif().and_then(|exif| Turn::from_exif_chunk(exif)).unwrap_or(Turn::NoTransforms);
    Ok((image.into(), turn))
}

/// The width and height of an image, from the beginning of its file.
pub(super) fn dimensions(bytes: Vec<u8>) -> Result<(u32, u32), ImageError> {
    ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.into_dimensions()
}
