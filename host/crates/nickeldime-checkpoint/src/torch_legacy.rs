//! PyTorch tensors inside pickles. A tensor is a view (offset, size, stride) of a storage, and the storage is a whole
//! file in PyTorch's first format, embedded as bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::number::DType;
use super::pickle::{Global, Pickle, PickleError, Problem, Value, View};

/// The beginning of every such file, as a pickled integer of 10 bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of the format.
const VERSION: i64 = 1001;

/// True if a pickle is the beginning of a PyTorch file of the first format.
pub(super) fn is_magic(view: &View) -> bool {
    matches!(view, View::BigInt(digits) if **digits == MAGIC)
}

/// A tensor in a pickle: its view of a storage.
#[derive(Debug, Clone)]
pub(super) struct TensorView {
    storage: Value,
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

/// Why a tensor was not read.
#[derive(Debug)]
pub(super) enum TensorError {
    /// What is wrong with the view.
    View(String),
    /// What is wrong with the storage's bytes, and where in the file.
    Storage(PickleError),
}

impl From<String> for TensorError {
    fn from(problem: String) -> Self {
        Self::View(problem)
    }
}

impl TensorView {
    /// Reads the tensor or parameter that a value stands for.
    pub fn of(pickle: &Pickle, value: Value) -> Result<Self, String> {
        /// Largest number of axes; weights have at most 4.
        const MOST_AXES: usize = 8;
        let mut value = value;
        if let View::Object { callable: Global::RebuildParameter, arguments: &[tensor, ..], .. } = pickle.view(value) {
            value = tensor;
        }
        let View::Object { callable: Global::RebuildTensor, arguments: &[storage, offset, size, stride, ..], .. } =
            pickle.view(value)
        else {
            return Err("not a PyTorch tensor".into());
        };
        let natural = |value| match pickle.view(value) {
            View::Int(i) => usize::try_from(i).map_err(|_| format!("{i} where a size is expected")),
            _ => Err("no number where a size is expected".to_string()),
        };
        let naturals = |value| match pickle.view(value) {
            View::Tuple(items) if items.len() <= MOST_AXES => {
                items.iter().map(|&v| natural(v)).collect::<Result<Vec<_>, _>>()
            }
            _ => Err(format!("not a tensor of at most {MOST_AXES} axes")),
        };
        let view = Self { storage, offset: natural(offset)?, size: naturals(size)?, stride: naturals(stride)? };
        match view.size.len() == view.stride.len() {
            true => Ok(view),
            false => Err(format!("size {:?} and stride {:?}", view.size, view.stride)),
        }
    }

    /// The tensor's shape.
    pub fn shape(&self) -> &[usize] {
        &self.size
    }

    /// Number of values in the tensor; `None` if it does not fit in a `usize`.
    pub fn len(&self) -> Option<usize> {
        self.size.iter().copied().try_fold(1, usize::checked_mul)
    }

    /// The tensor's values, row-major. The caller has limited their number ([`TensorView::len`]). `storages` are those
    /// of this pickle that were read before.
    pub fn read<'p>(&self, pickle: &'p Pickle, storages: &mut Storages<'p>) -> Result<Vec<f32>, TensorError> {
        let View::Object { callable: Global::LoadFromBytes, arguments: &[bytes], .. } = pickle.view(self.storage)
        else {
            return Err("its storage is not in the file as bytes".to_string().into());
        };
        let missing = || "its storage is not in the file as bytes".to_string();
        let place = pickle.bytes_place(bytes).ok_or_else(missing)?;
        let storage = match storages.0.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let bytes = pickle.bytes(bytes).ok_or_else(missing)?;
                let storage = Storage::read(bytes);
                let placed = |e: PickleError| PickleError { offset: place + e.offset, problem: e.problem };
                vacant.insert(storage.map_err(|e| TensorError::Storage(placed(e)))?)
            }
        };
        self.gather(storage.number, storage.data()).map_err(TensorError::View)
    }

    /// The value that identifies the tensor's storage.
    pub fn storage(&self) -> Value {
        self.storage
    }

    /// The tensor's values, row-major, from a storage with these bytes in this format.
    pub fn gather(&self, number: DType, data: &[u8]) -> Result<Vec<f32>, String> {
        let len = self.len().ok_or("more numbers than a machine can count")?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let reach = |(&size, &stride): (&usize, &usize)| (size - 1).checked_mul(stride);
        let mut axes = self.size.iter().zip(&self.stride);
        let last = axes.try_fold(self.offset, |at, axis| at.checked_add(reach(axis)?));
        let size = number.size();
        let numbers = data.len() / size;
        let Some(last) = last.filter(|&last| last < numbers) else {
            return Err(format!(
                "size {:?}, stride {:?}, offset {} reach beyond its storage of {numbers} numbers",
                self.size, self.stride, self.offset
            ));
        };
        if self.is_row_major() {
            // `last` is the index of the last number, so the range is inside the storage.
            let bytes = data.get(self.offset * size..(last + 1) * size);
            return Ok(number.read_all(bytes.unwrap_or_default()));
        }
        let mut numbers = Vec::with_capacity(len);
        let mut index = vec![0; self.size.len()];
        let mut at = self.offset;
        for _ in 0..len {
            let bytes = data.get(at * size..(at + 1) * size);
            numbers.push(number.read(bytes.unwrap_or_default()));
            // Advances to the next number; the last axis runs fastest.
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.stride[axis];
                if index[axis] < self.size[axis] {
                    break;
                }
                at -= self.stride[axis] * self.size[axis];
                index[axis] = 0;
            }
        }
        Ok(numbers)
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        let axes = self.size.iter().zip(&self.stride).rev();
        let mut axes = axes.filter(|&(&size, _)| size > 1);
        axes.all(|(&size, &stride)| {
            let fits = stride == expected;
            expected *= size;
            fits
        })
    }
}

/// The storages of a pickle that were read, by their offsets in it. However many tensors refer to a storage, it is
/// decoded once, and all storages together are no longer than the file.
#[derive(Default)]
pub(super) struct Storages<'p>(BTreeMap<usize, Storage<'p>>);

/// A storage: numbers one after the other.
struct Storage<'p> {
    number: DType,
    file: Cow<'p, [u8]>,
    /// Offset in `file` where the numbers begin.
    start: usize,
}

impl<'p> Storage<'p> {
    fn data(&self) -> &[u8] {
        self.file.get(self.start..).unwrap_or_default()
    }

    /// Reads a whole file of PyTorch's first format that holds one storage: magic, version, machine, the storage as a
    /// reference, the list of storages, and for each its length and numbers.
    fn read(file: Cow<'p, [u8]>) -> Result<Self, PickleError> {
        let (number, start) = Self::open(&file)?;
        Ok(Self { number, file, start })
    }

    /// The format of the numbers, and their offset.
    fn open(bytes: &[u8]) -> Result<(DType, usize), PickleError> {
        let begin = preamble(bytes)?;
        let storage = Pickle::read(bytes, begin)?;
        let (number, numbers) = embedded(&storage).map_err(|p| damaged(begin, &p))?;
        let keys = Pickle::read(bytes, storage.end())?;
        let (Some(length), Some(data)) = (bytes.get(keys.end()..keys.end() + 8), bytes.get(keys.end() + 8..)) else {
            return Err(damaged(keys.end(), "the numbers are missing: cut short"));
        };
        let length = length.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        let expected = numbers.checked_mul(number.size());
        if length != numbers as u64 || Some(data.len()) != expected {
            let problem = format!(
                "a storage of {numbers} numbers, a length of {length}, {} bytes of numbers: damaged",
                data.len()
            );
            return Err(damaged(keys.end(), &problem));
        }
        Ok((number, keys.end() + 8))
    }
}

/// Reads what every file of the first format begins with (magic, version, machine), and returns the offset of the byte
/// after it.
pub(super) fn preamble(bytes: &[u8]) -> Result<usize, PickleError> {
    let magic = Pickle::read(bytes, 0)?;
    if !is_magic(&magic.view(magic.root())) {
        return Err(damaged(0, "not a PyTorch storage"));
    }
    let version = Pickle::read(bytes, magic.end())?;
    if !matches!(version.view(version.root()), View::Int(VERSION)) {
        return Err(damaged(magic.end(), "a PyTorch storage of an unknown version"));
    }
    let machine = Pickle::read(bytes, version.end())?;
    if is_big_endian(&machine) {
        return Err(damaged(version.end(), "a big-endian storage: not supported"));
    }
    Ok(machine.end())
}

fn damaged(offset: usize, problem: &str) -> PickleError {
    PickleError { offset, problem: Problem::Damaged(problem.into()) }
}

fn is_big_endian(machine: &Pickle) -> bool {
    let View::Dict(mut entries) = machine.view(machine.root()) else {
        return false;
    };
    entries.any(|(key, value)| {
        matches!(machine.view(key), View::Text("little_endian")) && matches!(machine.view(value), View::Bool(false))
    })
}

/// Format and number of values of the one storage in a file that a `.pkl` embeds.
fn embedded(storage: &Pickle) -> Result<(DType, usize), String> {
    let View::Persistent(id) = storage.view(storage.root()) else {
        return Err("not a PyTorch storage".into());
    };
    let Reference { number, name, count, .. } = Reference::of(storage, id)?;
    match number {
        DType::F64 | DType::F32 | DType::F16 => Ok((number, count)),
        _ => Err(format!("{name}: only float, double and half storages are supported")),
    }
}

/// A pickle's reference to a storage outside it: `('storage', torch.FloatStorage, key, device, count)`, in the first
/// format with another item for views.
pub(super) struct Reference<'p> {
    /// Format of the numbers.
    pub number: DType,
    /// Name of the storage class, such as `FloatStorage`.
    pub name: &'static str,
    /// Key that identifies the storage in the file.
    pub key: &'p str,
    /// Number of values.
    pub count: usize,
}

impl<'p> Reference<'p> {
    /// Reads the reference from its identifying value, `id`.
    pub fn of(pickle: &'p Pickle, id: Value) -> Result<Self, String> {
        let (kind, format, key, count, view) = match pickle.view(id) {
            View::Tuple(&[kind, format, key, _device, count]) => (kind, format, key, count, Value::None),
            View::Tuple(&[kind, format, key, _device, count, view]) => (kind, format, key, count, view),
            _ => return Err("not a PyTorch storage".into()),
        };
        if !matches!(pickle.view(kind), View::Text("storage")) {
            return Err("not a PyTorch storage".into());
        }
        let (number, name) = match pickle.view(format) {
            View::Global(Global::Storage(Some(number)), name) => (number, name),
            View::Global(Global::Storage(None), name) => {
                return Err(format!("{name}: only storages of one number format are supported"));
            }
            _ => {
                let name = pickle.name(format).unwrap_or("no class".into());
                return Err(format!("a storage of an unknown format, {name}"));
            }
        };
        let View::Text(key) = pickle.view(key) else {
            return Err("a storage without a key: damaged".into());
        };
        if !matches!(pickle.view(view), View::None) {
            return Err("a view of another storage: not supported".into());
        }
        match pickle.view(count) {
            View::Int(count) => match usize::try_from(count) {
                Ok(count) => Ok(Self { number, name, key, count }),
                Err(_) => Err(format!("a storage of {count} numbers: damaged")),
            },
            _ => Err("a storage without a count: damaged".into()),
        }
    }
}
