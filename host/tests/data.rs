//! Datasets are what their files show, or an error that names the file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use nickeldime::data::{Batch, DataError, Dataset, ImageSizes, Orientation, ahead};

fn digits() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/digits32/digits32.zip"))
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn picture(size: u32, red: u8) -> Vec<u8> {
    let colour = |x, y| image::Rgb([red, x as u8, y as u8]);
    png(RgbImage::from_fn(size, size, colour))
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn zip(path: &Path, files: &[(&str, &[u8])]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[track_caller]
fn assert_refused(path: &Path, parts: &[&str]) {
    let error = Dataset::open(path).expect_err("refused").to_string();
    assert!(!error.chars().any(char::is_control), "{error}");
    for part in parts {
        assert!(error.contains(part), "{error}: no {part}");
    }
}

#[test]
fn the_shipped_digits_have_their_images_and_labels() {
    let digits = Dataset::open(&digits()).unwrap();
    assert_eq!((digits.len(), digits.resolution()), (1797, 32));
    assert_eq!(digits.name(0), Some("00000/img00000000.png"));
    // The first ten of the data set are 0 to 9.
    let labels: Vec<_> = (0..10).filter_map(|i| digits.label(i)).collect();
    assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for index in 0..digits.len() {
        let image = digits.image(index).unwrap();
        assert_eq!(image.len(), 3 * 32 * 32);
        assert_eq!(image[..1024], image[2048..], "grey");
    }
    assert!(matches!(digits.image(1797), Err(DataError::Beyond { .. })));
}

#[test]
fn a_batch_is_the_images_between_minus_one_and_one() {
    let folder = folder(&[("a.png", &picture(8, 0)), ("b.png", &picture(8, 255))]);
    let data = Dataset::open(folder.path()).unwrap();
    let batch = data.batch(&[1, 0, 0], &[false, true]).unwrap();
    assert_eq!(batch.shape(), [3, 3, 8, 8]);
    assert_eq!((batch[[0, 0, 3, 3]], batch[[1, 0, 3, 3]]), (1.0, -1.0));
    let scaled = |x: usize| x as f32 / 127.5 - 1.0;
    for x in 0..8 {
        assert_eq!(batch[[0, 1, 5, x]], scaled(x));
        assert_eq!(batch[[1, 1, 5, x]], scaled(7 - x), "flipped");
        assert_eq!(batch[[2, 1, 5, x]], scaled(x));
        assert_eq!(batch[[1, 2, x, 0]], scaled(x));
    }
}

#[test]
fn a_folder_and_a_zip_of_the_same_files_are_the_same_dataset() {
    let jpeg = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = DynamicImage::from(RgbImage::from_pixel(8, 8, image::Rgb([200, 100, 50])));
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    };
    let alpha = RgbaImage::from_pixel(8, 8, image::Rgba([9, 8, 7, 0]));
    let (first, grey, alpha) = (picture(8, 1), png(GrayImage::from_pixel(8, 8, image::Luma([5]))), png(alpha));
    let files: [(&str, &[u8]); 7] = [
        ("z.png", &first),
        ("a/b/grey.PNG", &grey),
        ("a/c.jpeg", &jpeg),
        ("alpha.png", &alpha),
        ("notes.txt", b"not an image"),
        ("__MACOSX/._z.png", b"not an image either"),
        ("dataset.json", br#"{"labels": [["z.png", 7], ["a/c.jpeg", [0.5, 0.5]]]}"#),
    ];
    let folder = folder(&files);
    let path = folder.path().join("all.zip");
    zip(&path, &files);
    for path in [folder.path(), &path] {
        let data = Dataset::open(path).unwrap();
        let names: Vec<_> = (0..data.len()).filter_map(|i| data.name(i)).collect();
        assert_eq!(names, ["a/b/grey.PNG", "a/c.jpeg", "alpha.png", "z.png"]);
        assert_eq!((data.label(3), data.label(1), data.label(0)), (Some(7), None, None));
        assert_eq!(data.image(0).unwrap(), [5; 192]);
        let dropped = [[9; 64], [8; 64], [7; 64]].concat();
        assert_eq!(data.image(2).unwrap(), dropped);
        let near = data.image(1).unwrap();
        assert!(near[0].abs_diff(200) < 4 && near[64].abs_diff(100) < 4);
    }
}

#[test]
fn what_is_not_a_dataset_is_refused_by_name() {
    let good = picture(8, 1);
    let none = folder(&[("a.txt", b"")]);
    assert_refused(none.path(), &["no image in it"]);
    assert_refused(&none.path().join("nowhere"), &["nowhere", "No such file"]);
    assert_refused(&none.path().join("a.txt"), &["a.txt", "not a zip"]);
    let other_size = folder(&[("a.png", &good), ("b/c.png", &picture(16, 1))]);
    assert_refused(other_size.path(), &["b/c.png: 16x16: the images before it are 8x8"]);
    let wide = folder(&[("a.png", &png(RgbImage::new(8, 4)))]);
    assert_refused(wide.path(), &["a.png: 8x4: expected a square"]);
    let large = folder(&[("a.png", &png(GrayImage::new(1025, 1025)))]);
    assert_refused(large.path(), &["a.png: 1025x1025: larger than 1024x1024"]);
    let no_image = folder(&[("a.png", b"GIF89a, surely")]);
    assert_refused(no_image.path(), &["a.png"]);
    let no_labels = folder(&[("a.png", &good), ("dataset.json", b"{")]);
    assert_refused(no_labels.path(), &["dataset.json"]);
    let zipped = none.path().join("cut.zip");
    zip(&zipped, &[("a.png", &good)]);
    let whole = fs::read(&zipped).unwrap();
    fs::write(&zipped, &whole[..whole.len() - 9]).unwrap();
    assert_refused(&zipped, &["cut.zip"]);
}

#[test]
fn images_are_resized_only_when_asked_to() {
    // Left half dark, right half light: its middle square too, at every size.
    let halves = |width, height| {
        let colour = |x, _| image::Luma([if x < width / 2 { 40 } else { 200 }]);
        png(GrayImage::from_fn(width, height, colour))
    };
    let folder = folder(&[("a.png", &halves(8, 8)), ("b.png", &halves(64, 40)), ("c.png", &halves(2000, 1100))]);
    assert_refused(folder.path(), &["b.png: 64x40: expected a square", "--resize"]);
    let data = Dataset::open_as(folder.path(), ImageSizes::Resized(16)).unwrap();
    assert_eq!((data.len(), data.resolution()), (3, 16));
    for index in 0..3 {
        let image = data.image(index).unwrap();
        assert_eq!(image.len(), 3 * 16 * 16);
        let row = &image[8 * 16..9 * 16];
        assert!(row[..5].iter().all(|&x| x.abs_diff(40) < 8), "{index}: {row:?}");
        assert!(row[11..].iter().all(|&x| x.abs_diff(200) < 8), "{index}: {row:?}");
    }
    // What has the size already stays as it is.
    let same = Dataset::open_as(folder.path(), ImageSizes::Resized(8)).unwrap();
    assert_eq!(same.image(0).unwrap()[..8], [40, 40, 40, 40, 200, 200, 200, 200]);
    let exact = Dataset::open_as(folder.path(), ImageSizes::Exactly(16)).unwrap_err().to_string();
    assert!(exact.contains("a.png: 8x8: an image of 16x16 is needed"), "{exact}");
}

#[test]
fn batches_decoded_ahead_are_those_that_were_asked_for() {
    let files: Vec<(String, Vec<u8>)> = (0..9).map(|i| (format!("{i}.png"), picture(8, 10 * i))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect();
    let folder = folder(&files);
    let data = Dataset::open(folder.path()).unwrap();
    let plan = |step: u64| {
        let first = (step as usize * 7) % 9;
        Batch { indices: vec![first, (first + 1) % 9], flips: vec![step.is_multiple_of(2), false] }
    };
    for steps in [0..0, 0..1, 3..23] {
        let found = ahead(&data, plan, steps.clone(), |batches| batches.collect::<Result<Vec<_>, _>>()).unwrap();
        let expected = steps.map(plan).map(|Batch { indices, flips }| data.batch(&indices, &flips).unwrap());
        assert!(found.into_iter().eq(expected));
    }
    // Whoever has enough leaves, and nobody waits for them.
    assert_eq!(ahead(&data, plan, 0..u64::MAX, |batches| batches.take(3).count()), 3);
    fs::write(folder.path().join("4.png"), "no picture").unwrap();
    let again = Dataset::open_as(folder.path(), ImageSizes::Resized(8));
    assert!(again.is_err());
}

#[test]
fn a_damaged_jpeg_is_an_error_and_not_a_grey_picture() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let noise = RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 37) as u8, (y * 91) as u8, (x * y) as u8]));
    DynamicImage::from(noise).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let whole = bytes.into_inner();
    let grey = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::from(GrayImage::from_pixel(64, 64, image::Luma([77])))
            .write_to(&mut bytes, ImageFormat::Jpeg)
            .unwrap();
        bytes.into_inner()
    };
    let folder = folder(&[("cut.jpg", &whole[..whole.len() * 3 / 4]), ("grey.jpg", &grey), ("whole.jpg", &whole)]);
    let data = Dataset::open(folder.path()).unwrap();
    assert!(data.image(0).unwrap_err().to_string().contains("cut.jpg: damaged JPEG"));
    assert!(data.image(1).unwrap().iter().all(|&x| x.abs_diff(77) < 3));
    assert!(data.image(2).is_ok());
}

#[test]
fn a_damaged_image_is_an_error_with_its_name() {
    let good = picture(64, 1);
    let cut = folder(&[("a.png", &good), ("cut.png", &good[..good.len() / 2])]);
    let data = Dataset::open(cut.path()).unwrap();
    assert!(data.image(0).is_ok());
    let error = data.batch(&[0, 1], &[]).unwrap_err().to_string();
    assert!(error.contains("cut.png"), "{error}");
    // It was small when the dataset was opened.
    fs::write(cut.path().join("cut.png"), picture(32, 1)).unwrap();
    assert!(data.image(1).unwrap_err().to_string().contains("another size"));
    // A header that promises 60,000 x 60,000 pixels, and its checksum.
    let mut bomb = good;
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    fs::write(cut.path().join("cut.png"), bomb).unwrap();
    assert!(data.image(1).is_err());
    assert!(Dataset::open(cut.path()).is_err());
}

fn case(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/cases")).join(name)
}

fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn pixels(path: &Path) -> Vec<Vec<u8>> {
    let data = Dataset::open(path).unwrap();
    (0..data.len()).map(|index| data.image(index).unwrap()).collect()
}

#[test]
fn every_format_is_read_in_folders_and_zips_and_the_rest_is_counted() {
    let (images, expected) = (case("other-formats/images"), case("other-formats/expected"));
    assert_eq!(pixels(&images), pixels(&expected));
    assert_eq!(Dataset::open(&images).unwrap().not_read().count(), 0);
    // Few colours, so that a GIF has them all.
    let picture = RgbImage::from_fn(16, 16, |x, y| image::Rgb([(x / 4 * 60) as u8, (y / 4 * 60) as u8, 7]));
    let encode = |format| encoded(&picture, format);
    let (webp, tiff) = (encode(ImageFormat::WebP), encode(ImageFormat::Tiff));
    let files: [(&str, &[u8]); 9] = [
        ("a.png", &encode(ImageFormat::Png)),
        ("b.WEBP", &webp),
        ("c.bmp", &encode(ImageFormat::Bmp)),
        ("d/e.tif", &tiff),
        ("d/f.gif", &encode(ImageFormat::Gif)),
        // The content tells.
        ("g.jpg", &webp),
        ("h.heic", b"photograph"),
        ("i.AVIF", b"photograph"),
        ("d/j.heic", b"photograph"),
    ];
    let folder = folder(&files);
    let archive = folder.path().join("all.zip");
    zip(&archive, &files);
    for (path, not_read, kinds) in [(folder.path(), 4, ".avif, .heic, .zip"), (&archive, 3, ".avif, .heic")] {
        let data = Dataset::open(path).unwrap();
        assert_eq!(data.not_read().count(), not_read);
        assert_eq!(data.not_read().to_string(), format!("{not_read} files of other formats ({kinds}) were not read"));
        let read = pixels(path);
        assert_eq!(read.len(), 6);
        assert!(read.iter().all(|image| *image == read[0]), "a lossless format is one");
    }
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("a.heic"), "photograph").unwrap();
    assert_refused(other.path(), &["no image", "1 file of other formats (.heic) was not read"]);
    // A damaged file of each format is an error that names it.
    for (name, bytes) in [("cut.webp", &webp), ("cut.tiff", &tiff)] {
        let cut = tempfile::tempdir().unwrap();
        fs::write(cut.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
        let error = Dataset::open(cut.path()).and_then(|data| data.image(0)).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

/// A JPEG with an EXIF orientation, whose numbers have this order of bytes.
fn turned(image: &RgbImage, orientation: u16, little: bool) -> Vec<u8> {
    let jpeg = encoded(image, ImageFormat::Jpeg);
    let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
    let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
    let mut exif = b"Exif\0\0".to_vec();
    exif.extend(if little { b"II" } else { b"MM" });
    exif.extend(short(42));
    exif.extend(long(8));
    exif.extend(short(1));
    exif.extend([&short(0x112)[..], &short(3), &long(1), &short(orientation), &[0, 0], &long(0)].concat());
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn photographs_are_turned_upright_unless_the_stored_images_are_wanted() {
    let near = |a: &[Vec<u8>], b: &[Vec<u8>]| {
        assert_eq!(a.len(), b.len());
        a.iter().flatten().zip(b.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= 3)
    };
    let photos = case("exif/photos");
    let stored = |path: &Path| -> Vec<Vec<u8>> {
        let data = Dataset::open_with(path, ImageSizes::Alike, Orientation::Stored).unwrap();
        (0..data.len()).map(|index| data.image(index).unwrap()).collect()
    };
    assert!(near(&pixels(&photos), &pixels(&case("exif/upright"))));
    assert!(near(&stored(&photos), &pixels(&case("exif/as-stored"))));
    // Every orientation, for an image that is wider than high; the right one is written out pixel by pixel.
    let picture = RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 15) as u8, 90]));
    let (w, h) = picture.dimensions();
    for orientation in 1..=8u16 {
        let size = if orientation < 5 { (w, h) } else { (h, w) };
        let upright = RgbImage::from_fn(size.0, size.1, |x, y| {
            let (x, y) = match orientation {
                1 => (x, y),
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (w - 1 - y, x),
            };
            *picture.get_pixel(x, y)
        });
        let photo = turned(&picture, orientation, orientation % 2 == 0);
        let folder = folder(&[("a.jpg", &photo), ("b.png", &png(upright))]);
        let data = Dataset::open_as(folder.path(), ImageSizes::Resized(16)).unwrap();
        let apart = |a: Vec<u8>, b: Vec<u8>| a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let apart = apart(data.image(0).unwrap(), data.image(1).unwrap());
        assert!(apart <= 8, "orientation {orientation}: {apart} levels");
    }
}
