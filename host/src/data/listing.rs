//! Finds the images in a folder or zip, and their labels.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::DataError;

/// True if a name is an image's. Hidden files and the extra files that macOS puts into zips do not count.
pub(super) fn is_picture(name: &str) -> bool {
    let hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    let known = |e: &str| ["png", "jpg", "jpeg"].contains(&&e.to_lowercase()[..]);
    extension.is_some_and(known) && !name.split(['/', '\\']).any(hidden)
}

/// The names of all images below a folder, with forward slashes. Links to folders are not followed, because they may
/// lead in circles.
pub(super) fn pictures_below(root: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let io = |cause| DataError::io(&path, cause);
        for entry in fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let own = entry.file_name();
            let Some(own) = own.to_str() else {
                // A name that is not UTF-8 is skipped, because labels and reports could not name it.
                continue;
            };
            let name = match &folder[..] {
                "" => own.to_string(),
                _ => format!("{folder}/{own}"),
            };
            if entry.file_type().map_err(io)?.is_dir() {
                folders.push(name);
            } else if is_picture(&name) && entry.path().is_file() {
                names.push(name);
            }
        }
    }
    Ok(names)
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
    fn images_are_known_by_their_names() {
        for name in ["a.png", "a/b.JPG", "00000/img.jpeg"] {
            assert!(is_picture(name), "{name}");
        }
        for name in ["a.txt", "png", "a/", "__MACOSX/a.png", "a/._b.png", ".git/a.png", "dataset.json"] {
            assert!(!is_picture(name), "{name}");
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
