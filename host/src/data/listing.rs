//! Finds the images in a folder or zip, and their labels.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{DataError, NotRead};

/// The extensions of the formats that are read.
const EXTENSIONS: [&str; 12] =
    ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "tif", "tiff", "gif"];

/// The name of the file that has the labels.
pub(super) const LABELS: &str = "dataset.json";

/// The files of a folder or zip.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The names of all images, with forward slashes, and their numbers in a zip.
    pub(super) pictures: Vec<(String, usize)>,
    pub(super) not_read: NotRead,
}

impl Listing {
    /// Takes a file up: as an image, as one that is not read, or (a hidden file, the extra files that macOS puts into
    /// zips, a folder, the labels) not at all.
    pub(super) fn add(&mut self, name: &str, index: usize) {
        let hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
        if name == LABELS || name.ends_with('/') || name.split('/').any(hidden) {
            return;
        }
        let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
        match EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
            true => self.pictures.push((name.into(), index)),
            false => self.not_read.add(extension),
        }
    }

    /// Takes up all files below a folder. Links to folders are not followed, because they may lead in circles.
    pub(super) fn add_below(&mut self, root: &Path) -> Result<(), DataError> {
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = root.join(&folder);
            let io = |cause| DataError::io(&path, cause);
            for entry in fs::read_dir(&path).map_err(io)? {
                let entry = entry.map_err(io)?;
                let own = entry.file_name();
                let Some(own) = own.to_str() else {
                    // Not text: labels and reports could not name it.
                    let extension = entry.path().extension().map(|e| e.to_string_lossy().into_owned());
                    self.not_read.add(&extension.unwrap_or_default());
                    continue;
                };
                let name = match &folder[..] {
                    "" => own.to_string(),
                    _ => format!("{folder}/{own}"),
                };
                if entry.file_type().map_err(io)?.is_dir() {
                    folders.push(name);
                } else if entry.path().is_file() {
                    self.add(&name, 0);
                }
            }
        }
        Ok(())
    }
}

/// The classes in a StyleGAN2-ADA `dataset.json`, by image name: `{"labels": [["00000/img00000000.png", 5], ...]}`.
/// Labels that are not class numbers (null, vectors) are left out.
pub(super) fn labels(json: &[u8]) -> Result<HashMap<String, u32>, serde_json::Error> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        labels: Option<Vec<(String, Label)>>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Label {
        Class(u32),
        Other(serde::de::IgnoredAny),
    }
    let file: File = serde_json::from_slice(json)?;
    let labels = file.labels.unwrap_or_default().into_iter();
    let class = |(name, label)| match label {
        Label::Class(class) => Some((name, class)),
        Label::Other(_) => None,
    };
    Ok(labels.filter_map(class).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_names_and_other_files_are_counted() {
        let listed = |name: &str| {
            let mut listing = Listing::default();
            listing.add(name, 3);
            (listing.pictures.len(), listing.not_read.count())
        };
        for name in ["a.png", "a/b.JPG", "00000/img.jpeg", "a.WebP", "a.bmp", "a.tif", "a.TIFF", "a.gif"] {
            assert_eq!(listed(name), (1, 0), "{name}");
        }
        for name in ["a.txt", "png", "a.heic", "a/b.avif", "a/dataset.json"] {
            assert_eq!(listed(name), (0, 1), "{name}");
        }
        for name in ["a/", "__MACOSX/a.png", "a/._b.png", ".git/a.png", "dataset.json", ".DS_Store"] {
            assert_eq!(listed(name), (0, 0), "{name}");
        }
    }

    #[test]
    fn labels_are_classes_or_nothing() {
        let found = labels(br#"{"labels": [["a.png", 3], ["b.png", [0.5]], ["c.png", -1]], "x": 1}"#);
        assert_eq!(found.unwrap(), HashMap::from([("a.png".into(), 3)]));
        assert!(labels(br#"{"labels": null}"#).unwrap().is_empty());
        assert!(labels(br#"{"labels": 3}"#).is_err());
    }
}
