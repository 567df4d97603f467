//! Pictures inside a page, as `data:` addresses that are small enough to load on a phone.

use std::{io::Cursor, path::Path};

use image::{ImageReader, Limits, codecs::jpeg::JpegEncoder, imageops::FilterType};

/// Files of at most this many bytes are embedded unchanged.
const SMALL: usize = 300_000;
/// The largest width, in pixels, of a picture that is made smaller.
const WIDEST: u32 = 768;
/// The JPEG quality of a picture that is made smaller.
const QUALITY: u8 = 88;

/// Encodes a PNG file as a `data:` address. A large file is scaled down and encoded as JPEG.
///
/// # Errors
/// A file that cannot be read or is not a picture; the text names the file.
pub fn data_address(file: &Path) -> Result<String, String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let bytes = std::fs::read(file).map_err(|e| fail(&e))?;
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|e| fail(&e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(1 << 30);
    reader.limits(limits);
    let picture = reader.decode().map_err(|e| fail(&e))?;
    if bytes.len() <= SMALL {
        return Ok(format!("data:image/png;base64,{}", base64(&bytes)));
    }
    let smaller = match picture.width() > WIDEST {
        true => picture.resize(WIDEST, u32::MAX, FilterType::CatmullRom),
        false => picture,
    };
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    smaller.into_rgb8().write_with_encoder(encoder).map_err(|e| fail(&e))?;
    Ok(format!("data:image/jpeg;base64,{}", base64(&jpeg)))
}

/// Encodes bytes as base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { letter.into() } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_standards_text() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn large_pictures_become_small_and_broken_ones_errors() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        let noise =
            image::RgbImage::from_fn(900, 300, |x, y| image::Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, y as u8]));
        noise.save(&file).unwrap();
        assert!(std::fs::metadata(&file).unwrap().len() > SMALL as u64);
        assert!(data_address(&file).unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        image::RgbImage::new(8, 8).save(&file).unwrap();
        assert!(data_address(&file).unwrap().starts_with("data:image/png;base64,iVBOR"));
        std::fs::write(&file, "no picture").unwrap();
        assert!(data_address(&file).unwrap_err().contains("a.png"));
    }
}
