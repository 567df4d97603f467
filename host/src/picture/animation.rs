//! Pictures one after the other in one file: GIF, WebP and APNG, which repeat without end.

use std::io::{self, Write};
use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::webp::WebPEncoder;
use image::{Delay, ExtendedColorType, Frame, RgbaImage};
use nickeldime_checkpoint::files;

use super::{Picture, PictureError};

/// The format of an animation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnimationFormat {
    /// At most 256 colours in a frame, and delays in hundredths of a second; shown everywhere.
    Gif,
    /// Without loss.
    WebP,
    /// Without loss; a viewer that does not know it shows the first frame as a PNG.
    Apng,
}

impl AnimationFormat {
    /// The format that a file's extension names.
    pub fn of(path: &Path) -> Option<Self> {
        match &path.extension()?.to_str()?.to_lowercase()[..] {
            "gif" => Some(Self::Gif),
            "webp" => Some(Self::WebP),
            "apng" | "png" => Some(Self::Apng),
            _ => None,
        }
    }
}

/// Writes pictures of one size as an animation, each shown for so many milliseconds, whole or not at all.
///
/// # Errors
/// There is no picture, the pictures are of several sizes or too large for the format, or the file cannot be written.
pub fn write(
    pictures: &[Picture],
    format: AnimationFormat,
    milliseconds: u16,
    path: &Path,
) -> Result<(), PictureError> {
    let encoded = encode(pictures, format, milliseconds);
    let written = encoded.and_then(|bytes| files::replace(path, |out| out.write_all(&bytes)));
    written.map_err(|cause| PictureError { file: path.into(), cause })
}

fn encode(pictures: &[Picture], format: AnimationFormat, milliseconds: u16) -> io::Result<Vec<u8>> {
    let first = pictures.first().ok_or_else(|| io::Error::other("an animation without pictures"))?;
    if pictures.iter().any(|p| (p.width, p.height) != (first.width, first.height)) {
        return Err(io::Error::other("an animation of pictures of several sizes"));
    }
    match format {
        AnimationFormat::Gif => gif(pictures, milliseconds),
        AnimationFormat::WebP => webp(pictures, milliseconds),
        AnimationFormat::Apng => apng(pictures, milliseconds),
    }
}

fn side(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(io::Error::other)
}

fn gif(pictures: &[Picture], milliseconds: u16) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite).map_err(io::Error::other)?;
    for picture in pictures {
        let rgba = picture.pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
        let image = RgbaImage::from_raw(side(picture.width)?, side(picture.height)?, rgba);
        let image = image.ok_or_else(|| io::Error::other("a picture with too few pixels"))?;
        let delay = Delay::from_numer_denom_ms(milliseconds.into(), 1);
        encoder.encode_frame(Frame::from_parts(image, 0, 0, delay)).map_err(io::Error::other)?;
    }
    drop(encoder);
    Ok(bytes)
}

fn apng(pictures: &[Picture], milliseconds: u16) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let grey = pictures.iter().all(|picture| picture.grey);
    let first = &pictures[0];
    let mut encoder = png::Encoder::new(&mut bytes, side(first.width)?, side(first.height)?);
    encoder.set_color(if grey { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(side(pictures.len())?, 0).map_err(io::Error::other)?;
    encoder.set_frame_delay(milliseconds, 1000).map_err(io::Error::other)?;
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    for picture in pictures {
        match grey {
            true => writer.write_image_data(&picture.levels()),
            false => writer.write_image_data(&picture.pixels),
        }
        .map_err(io::Error::other)?;
    }
    writer.finish().map_err(io::Error::other)?;
    Ok(bytes)
}

/// The encoder makes still images; the chunks around their data are those of WebP's container specification.
fn webp(pictures: &[Picture], milliseconds: u16) -> io::Result<Vec<u8>> {
    /// The flag of the header that says: this is an animation.
    const ANIMATED: u8 = 1 << 1;
    /// The flag of a frame that says: it replaces what is below it.
    const WHOLE: u8 = 1 << 1;
    let first = &pictures[0];
    let three = |n: u32| [n as u8, (n >> 8) as u8, (n >> 16) as u8];
    // Both sides are at least 1 and at most 16384, as the encoder makes sure.
    let size = [three(side(first.width)?.wrapping_sub(1)), three(side(first.height)?.wrapping_sub(1))].concat();
    let mut chunks = Vec::new();
    chunk(&mut chunks, b"VP8X", &[&[ANIMATED, 0, 0, 0][..], &size].concat())?;
    // A black background, and 0 for endless repetition.
    chunk(&mut chunks, b"ANIM", &[0, 0, 0, 255, 0, 0])?;
    for picture in pictures {
        let mut still = Vec::new();
        let (width, height) = (side(picture.width)?, side(picture.height)?);
        WebPEncoder::new_lossless(&mut still)
            .encode(&picture.pixels, width, height, ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        // RIFF, its length and WEBP come before the image's one chunk.
        let image = still.get(12..).filter(|image| image.starts_with(b"VP8L"));
        let image = image.ok_or_else(|| io::Error::other("the WebP encoder wrote no image"))?;
        let frame = [&[0; 6][..], &size, &three(milliseconds.into()), &[WHOLE], image].concat();
        chunk(&mut chunks, b"ANMF", &frame)?;
    }
    let mut file = Vec::new();
    chunk(&mut file, b"RIFF", &[b"WEBP", &chunks[..]].concat())?;
    Ok(file)
}

/// Appends a chunk, padded to an even length.
fn chunk(file: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) -> io::Result<()> {
    file.extend(name);
    file.extend(side(content.len())?.to_le_bytes());
    file.extend(content);
    file.extend(&[0][..content.len() % 2]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::AnimationDecoder;
    use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};

    use super::*;

    /// Three frames of few colours, of an odd size.
    fn pictures(grey: bool) -> Vec<Picture> {
        let level = |n: usize, at: usize| (40 * n + at % 35 * 3) as u8;
        (0..3)
            .map(|n| match grey {
                true => Picture::from_grey(7, 5, &(0..35).map(|at| level(n, at)).collect::<Vec<_>>()),
                false => Picture::new(7, 5, (0..105).map(|at| level(n, at)).collect()),
            })
            .collect()
    }

    fn frames<'a>(decoder: impl AnimationDecoder<'a>) -> Vec<(Vec<u8>, u32)> {
        let frames = decoder.into_frames().collect_frames().unwrap();
        let rgb = |frame: &Frame| frame.buffer().pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]]).collect();
        frames
            .iter()
            .map(|frame| (rgb(frame), frame.delay().numer_denom_ms().0 / frame.delay().numer_denom_ms().1))
            .collect()
    }

    #[test]
    fn every_format_has_the_same_frames() {
        for grey in [false, true] {
            let pictures = pictures(grey);
            let expected: Vec<_> = pictures.iter().map(|picture| (picture.pixels().to_vec(), 40)).collect();
            let file = |format| Cursor::new(encode(&pictures, format, 40).unwrap());
            assert_eq!(frames(GifDecoder::new(file(AnimationFormat::Gif)).unwrap()), expected);
            assert_eq!(frames(WebPDecoder::new(file(AnimationFormat::WebP)).unwrap()), expected);
            let apng = PngDecoder::new(file(AnimationFormat::Apng)).unwrap();
            assert!(apng.is_apng().unwrap());
            assert_eq!(frames(apng.apng().unwrap()), expected);
        }
    }

    #[test]
    fn what_is_no_animation_is_an_error() {
        let mut several = pictures(false);
        several.push(Picture::new(1, 1, vec![0; 3]));
        for format in [AnimationFormat::Gif, AnimationFormat::WebP, AnimationFormat::Apng] {
            assert!(encode(&[], format, 40).is_err() && encode(&several, format, 40).is_err());
        }
        assert_eq!(AnimationFormat::of(Path::new("a/b.GIF")), Some(AnimationFormat::Gif));
        assert_eq!(AnimationFormat::of(Path::new("a/gif")), None);
    }
}
