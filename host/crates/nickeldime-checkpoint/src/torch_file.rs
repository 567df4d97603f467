//! PyTorch's weights files: a pickle of named tensors, and the storages that they refer to. `torch.save` writes a zip
//! (`NAME/data.pkl`, `NAME/data/0`, ...) or, before version 1.6, one part after the other; `torch.jit.save` writes the
//! same zip with a tree of modules instead of a dict, and code that is ignored.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use super::error::{CheckpointError, printable};
use super::networks::TensorSource;
use super::pickle::{Global, Pickle, PickleError, Value, View};
use super::place::{join, refused};
use super::stored_zip::files;
use super::torch_legacy::{Reference, TensorView, preamble};
use crate::model::arch::Shapes;

/// The storages' bytes, by their keys.
type Storages<'a> = BTreeMap<String, &'a [u8]>;

/// The pickle's name in a zip, below the folder that is named after the file.
const PICKLE: &str = "data.pkl";

/// Opens a zip and returns the result of `then` for its tensors.
pub(super) fn with_zip<T>(
    path: &Path,
    bytes: &[u8],
    then: impl FnOnce(&mut StateFile) -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    /// The folders with numbers. Those of a TorchScript archive's code lie apart, and weights may be among them.
    const FOLDERS: [&str; 2] = ["constants/", "data/"];
    let damaged = |problem: String| CheckpointError::format(path, problem);
    let files = files(bytes).map_err(|problem| damaged(format!("a zip that cannot be read: {problem}")))?;
    // A name that is not UTF-8 is not one of PyTorch's.
    let files = || files.iter().filter_map(|file| Some((str::from_utf8(file.name).ok()?, &file.content)));
    let pickles = files().map(|(name, _)| name).filter(|name| *name == PICKLE || name.ends_with("/data.pkl"));
    let Some(name) = pickles.min_by_key(|name| name.len()) else {
        let problem =
            "a zip without data.pkl: neither a checkpoint nor a PyTorch weights file (torch.save, torch.jit.save)";
        return Err(damaged(problem.into()));
    };
    let root = name.strip_suffix(PICKLE).unwrap_or_default();
    let mut storages = Storages::new();
    let mut data = None;
    for (name, content) in files() {
        let Some(own) = name.strip_prefix(root) else { continue };
        let key = FOLDERS.iter().find_map(|folder| Some((*folder, own.strip_prefix(folder)?)));
        if key.is_none() && own != PICKLE && own != "byteorder" {
            continue;
        }
        let shown = printable(own.as_bytes());
        let (start, slice) = match *content {
            Ok(content) => content,
            Err(problem) => return Err(CheckpointError::network(path, shown, problem)),
        };
        match key {
            None if own == PICKLE => data = Some((start, slice)),
            None if slice == b"big" => {
                return Err(CheckpointError::network(path, shown, "big-endian numbers: not supported"));
            }
            None => {}
            // The pickle's own storages take precedence over those of the code.
            Some(("data/", key)) => {
                storages.insert(key.into(), slice);
            }
            Some((_, key)) => {
                storages.entry(key.into()).or_insert(slice);
            }
        }
    }
    let (start, data) = data.ok_or_else(|| damaged("data.pkl cannot be found in the zip: damaged".into()))?;
    let pickle = Pickle::read_part(data, bytes.len())
        .map_err(|e| refused(path, PickleError { offset: start + e.offset, ..e }, ""))?;
    then(&mut StateFile::open(path, &pickle, storages, bytes.len())?)
}

/// Opens a file of PyTorch's first format and returns the result of `then` for its tensors.
pub(super) fn with_legacy<T>(
    path: &Path,
    bytes: &[u8],
    then: impl FnOnce(&mut StateFile) -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    let failed = |e: PickleError| refused(path, e, "");
    let begin = preamble(bytes).map_err(|e| match e.offset {
        0 => {
            let problem = "a pickle, but not a PyTorch weights file: expected what torch.save or torch.jit.save writes";
            CheckpointError::format(path, problem)
        }
        _ => failed(e),
    })?;
    let pickle = Pickle::read(bytes, begin).map_err(failed)?;
    let keys = Pickle::read(bytes, pickle.end()).map_err(failed)?;
    if !matches!(keys.view(keys.root()), View::List) {
        return Err(CheckpointError::damaged(path, pickle.end(), "not a list of storages: damaged"));
    }
    let mut formats = BTreeMap::new();
    for id in pickle.references() {
        let reference = Reference::of(&pickle, id).map_err(|problem| CheckpointError::damaged(path, begin, problem))?;
        formats.insert(reference.key, reference.number);
    }
    let mut storages = Storages::new();
    let mut at = keys.end();
    for key in keys.texts() {
        let fail = |problem: &str| {
            let problem = format!("storage {}: {problem}", printable(key.as_bytes()));
            CheckpointError::damaged(path, at, problem)
        };
        let number = formats.get(key).ok_or_else(|| fail("no tensor looks into it: damaged"))?;
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((count, rest)) = rest.split_first_chunk() else {
            return Err(fail("its length is missing: cut short"));
        };
        let count = u64::from_le_bytes(*count);
        let length = usize::try_from(count).ok().and_then(|count| count.checked_mul(number.size()));
        let Some(numbers) = length.and_then(|length| rest.get(..length)) else {
            return Err(fail(&format!("{count} numbers, {} bytes left: cut short or damaged", rest.len())));
        };
        storages.insert(key.into(), numbers);
        at += size_of::<u64>() + numbers.len();
    }
    then(&mut StateFile::open(path, &pickle, storages, bytes.len())?)
}

/// A pickle of tensors together with its storages.
pub(super) struct StateFile<'p> {
    path: &'p Path,
    pickle: &'p Pickle<'p>,
    storages: Storages<'p>,
    views: BTreeMap<String, TensorView>,
    /// How many numbers may still be read. A file that claims more than it holds refers to the same storage again and again.
    room: usize,
}

impl<'p> StateFile<'p> {
    /// Finds the tensors. `length` is the length of the whole file in bytes.
    fn open(
        path: &'p Path,
        pickle: &'p Pickle<'p>,
        storages: Storages<'p>,
        length: usize,
    ) -> Result<Self, CheckpointError> {
        let mut found = Search { path, pickle, views: BTreeMap::new(), seen: 0, entries: length };
        found.collect("", pickle.root(), 0)?;
        let views = found.views;
        if views.is_empty() {
            let problem = "no tensors by name in it: expected a state dict (torch.save(model.state_dict(), FILE))";
            return Err(CheckpointError::format(path, problem));
        }
        // As for a checkpoint, half the bytes are numbers if all are stored as float16.
        Ok(Self { path, pickle, storages, views, room: length / 2 + (64 << 10) })
    }

    fn numbers(&self, view: &TensorView) -> Result<Vec<f32>, String> {
        let View::Persistent(id) = self.pickle.view(view.storage()) else {
            return Err("its storage is not beside the pickle: not supported".into());
        };
        let Reference { number, key, count, .. } = Reference::of(self.pickle, id)?;
        let shown = printable(key.as_bytes());
        let data = self.storages.get(key).ok_or_else(|| format!("its storage {shown} is not in the file: damaged"))?;
        if count.checked_mul(number.size()) != Some(data.len()) {
            return Err(format!("its storage {shown} has {} bytes for {count} numbers: damaged", data.len()));
        }
        view.gather(number, data)
    }
}

impl TensorSource for StateFile<'_> {
    fn path(&self) -> &Path {
        self.path
    }

    fn shapes(&self) -> Shapes {
        self.views.iter().map(|(name, view)| (name.clone(), view.shape().to_vec())).collect()
    }

    fn tensor(&mut self, name: &str) -> Result<ArrayD<f32>, CheckpointError> {
        let fail = |problem: String| CheckpointError::network(self.path, printable(name.as_bytes()), problem);
        let view = self.views.get(name).ok_or_else(|| fail("missing".into()))?;
        let left = view.len().and_then(|len| self.room.checked_sub(len));
        let left = left.ok_or_else(|| fail("more numbers than the file has: damaged".into()))?;
        let numbers = self.numbers(view).map_err(fail)?;
        let array = ArrayD::from_shape_vec(IxDyn(view.shape()), numbers).map_err(|e| fail(e.to_string()))?;
        self.room = left;
        Ok(array)
    }
}

/// The search for a pickle's named tensors.
struct Search<'p> {
    path: &'p Path,
    pickle: &'p Pickle<'p>,
    views: BTreeMap<String, TensorView>,
    /// Number of values that were looked at.
    seen: usize,
    /// Number of dict entries that may still be looked at. A dict under many names counts each time.
    entries: usize,
}

impl Search<'_> {
    /// Adds the tensors of a dict or module, and of those inside it. `name` is the name of `value`.
    fn collect(&mut self, name: &str, value: Value, depth: usize) -> Result<(), CheckpointError> {
        /// The deepest nesting. The deepest of these networks has 6. A dict that contains itself would not end.
        const DEEPEST: usize = 12;
        /// The largest number of values. The largest of these networks has some 4000 attributes.
        const MOST: usize = 20_000;
        /// The longest name in bytes, far beyond the names of tensors.
        const LONGEST: usize = 200;
        /// The attributes in which a module saved whole, with its class, keeps its tensors.
        const INSIDE: [&str; 3] = ["_parameters", "_buffers", "_modules"];
        self.seen += 1;
        if self.seen > MOST {
            return self.too_many(name);
        }
        if depth > DEEPEST || name.len() > LONGEST {
            return Ok(());
        }
        let (dict, is_module) = match self.pickle.view(value) {
            View::Dict(_) => (value, false),
            View::Object { callable: Global::Script, state, .. } => (state, false),
            View::Object { callable: Global::Foreign, state, .. } => (state, true),
            View::Object { callable: Global::RebuildTensor | Global::RebuildParameter, .. } => {
                let view = TensorView::of(self.pickle, value);
                let place = printable(name.as_bytes());
                let view = view.map_err(|problem| CheckpointError::network(self.path, place, problem))?;
                self.views.insert(name.into(), view);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let View::Dict(entries) = self.pickle.view(dict) else { return Ok(()) };
        for (key, value) in entries {
            let Some(left) = self.entries.checked_sub(1) else { return self.too_many(name) };
            self.entries = left;
            // Optimisers number their tensors, so those have no names.
            let View::Text(key) = self.pickle.view(key) else { continue };
            match is_module {
                false => self.collect(&join(name, key), value, depth + 1)?,
                true if INSIDE.contains(&key) => self.collect(name, value, depth + 1)?,
                true => {}
            }
        }
        Ok(())
    }

    fn too_many(&self, name: &str) -> Result<(), CheckpointError> {
        let place = if name.is_empty() { "data.pkl".into() } else { printable(name.as_bytes()) };
        let problem = "more dicts and modules than a network has: damaged, or another file";
        Err(CheckpointError::network(self.path, place, problem))
    }
}
