//! A cache of features on disk, so that the same images pass through an extractor only once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ndarray::{Array2, Ix2};
use nickeldime_checkpoint::{CheckpointError, Metadata, Tensors, read_tensors, write_tensors};

use crate::hash::sha256;

/// The name of the tensor in a cache file.
const NAME: &str = "features";
/// The name of the key in a cache file's metadata.
const KEY: &str = "key";

/// A folder of features. Each set of images has one safetensors file with a tensor `[images, features]`.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    folder: PathBuf,
}

impl FeatureCache {
    /// A cache in this folder, which is created when the first features are stored.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    /// The path of a key's file.
    fn file(&self, key: &str) -> PathBuf {
        let hash = sha256(key.as_bytes());
        self.folder.join(format!("{}.safetensors", &hash[..24]))
    }

    /// The features of a key, or `None` if the cache has none or their file is damaged or another key's. A key is a
    /// text that identifies extractor and images, for example by their hashes.
    pub fn get(&self, key: &str, images: usize) -> Option<Array2<f32>> {
        let (mut tensors, metadata) = read_tensors(&self.file(key)).ok()?;
        let features = tensors.remove(NAME)?.into_dimensionality::<Ix2>().ok()?;
        (metadata.get(KEY).is_some_and(|k| k == key) && features.nrows() == images).then_some(features)
    }

    /// Stores features, whole or not at all.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn put(&self, key: &str, features: &Array2<f32>) -> Result<(), CheckpointError> {
        let file = self.file(key);
        fs::create_dir_all(&self.folder).map_err(|cause| CheckpointError::Io { file: self.folder.clone(), cause })?;
        let tensors = Tensors::from([(NAME.to_string(), features.clone().into_dyn())]);
        write_tensors(&file, &tensors, &Metadata::from([(KEY.to_string(), key.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_back_under_their_own_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::new(&folder.path().join("new"));
        let features = Array2::from_shape_fn((3, 2), |(i, j)| (i * 2 + j) as f32);
        assert_eq!(cache.get("a", 3), None);
        cache.put("a", &features).unwrap();
        assert_eq!(cache.get("a", 3), Some(features.clone()));
        assert_eq!(cache.get("a", 4), None);
        assert_eq!(cache.get("b", 3), None);
        // A file that is cut short, or stored under another key's name, is not used.
        fs::copy(cache.file("a"), cache.file("b")).unwrap();
        assert_eq!(cache.get("b", 3), None);
        let whole = fs::read(cache.file("a")).unwrap();
        fs::write(cache.file("a"), &whole[..whole.len() - 1]).unwrap();
        assert_eq!(cache.get("a", 3), None);
    }
}
