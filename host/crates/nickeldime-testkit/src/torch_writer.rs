//! Weights files as `torch.save` and `torch.jit.save` write them.

use std::io::{Cursor, Write};

use nickeldime_checkpoint::model::weights::Tensors;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::pickle_writer::{Py, call, dict, ordered_dict, pickle, text};

/// A storage beside the pickle: its format (`FloatStorage`) and its bytes.
pub type Storages = Vec<(&'static str, Vec<u8>)>;

/// Bytes of one number of a format.
fn size(format: &str) -> usize {
    match format {
        "LongStorage" | "DoubleStorage" => 8,
        "HalfStorage" | "BFloat16Storage" => 2,
        _ => 4,
    }
}

/// A reference to storage `key`; the first format has one more item.
pub fn reference(format: &'static str, key: usize, count: usize, legacy: bool) -> Py {
    let mut items =
        vec![text("storage"), Py::Global("torch", format), text(&key.to_string()), text("cpu"), Py::Int(count as i64)];
    if legacy {
        items.push(Py::None);
    }
    Py::Persistent(Box::new(Py::Tuple(items)))
}

/// A view of a storage.
pub fn view(storage: Py, shape: &[usize], stride: &[usize]) -> Py {
    let ints = |items: &[usize]| Py::Tuple(items.iter().map(|&n| Py::Int(n as i64)).collect());
    let hooks = ordered_dict::<&str>([]);
    let arguments = vec![storage, Py::Int(0), ints(shape), ints(stride), Py::Bool(false), hooks];
    call("torch._utils", "_rebuild_tensor_v2", arguments)
}

fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// Every tensor in a storage of its own, in single precision, and one of integers as batch norms have it.
pub fn state_dict(tensors: &Tensors, legacy: bool) -> (Vec<(String, Py)>, Storages) {
    let mut storages = Storages::new();
    let mut entries = Vec::new();
    for (name, array) in tensors {
        let bytes = array.iter().flat_map(|x| x.to_le_bytes()).collect();
        let storage = reference("FloatStorage", storages.len(), array.len(), legacy);
        entries.push((name.clone(), view(storage, array.shape(), &strides(array.shape()))));
        storages.push(("FloatStorage", bytes));
    }
    let counter = view(reference("LongStorage", storages.len(), 1, legacy), &[], &[]);
    entries.push(("bn.num_batches_tracked".into(), counter));
    storages.push(("LongStorage", 7i64.to_le_bytes().to_vec()));
    (entries, storages)
}

/// Entries of the shapes, all of them looking into one number, and a quarter of a megabyte that nobody looks into: a small
/// file that looks like any network, as readers limit structure by a file's length.
pub fn shapes_alone<'a>(
    shapes: impl IntoIterator<Item = (&'a String, &'a Vec<usize>)>,
) -> (Vec<(String, Py)>, Storages) {
    let entry = |(name, shape): (&'a String, &'a Vec<usize>)| {
        (name.clone(), view(reference("FloatStorage", 0, 1, false), shape, &vec![0; shape.len()]))
    };
    (shapes.into_iter().map(entry).collect(), vec![("FloatStorage", vec![0; 4]), ("FloatStorage", vec![0; 1 << 18])])
}

/// The file that `torch.save` writes for an object and its storages.
pub fn zip(object: &Py, storages: &Storages) -> Vec<u8> {
    zip_of(object, storages, CompressionMethod::Stored)
}

pub fn zip_of(object: &Py, storages: &Storages, compression: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(compression);
    let mut put = |name: String, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    put("weights/data.pkl".into(), &pickle(object, 2));
    put("weights/byteorder".into(), b"little");
    for (key, (_, bytes)) in storages.iter().enumerate() {
        put(format!("weights/data/{key}"), bytes);
    }
    put("weights/version".into(), b"3\n");
    zip.finish().unwrap().into_inner()
}

/// The file that `torch.save` wrote before version 1.6.
pub fn legacy(object: &Py, storages: &Storages) -> Vec<u8> {
    let mut file = pickle(&Py::Raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19".to_vec()), 2);
    file.extend(pickle(&Py::Int(1001), 2));
    file.extend(pickle(&dict([("protocol_version", Py::Int(1001)), ("little_endian", Py::Bool(true))]), 2));
    file.extend(pickle(object, 2));
    file.extend(pickle(&Py::List((0..storages.len()).map(|key| text(&key.to_string())).collect()), 2));
    for (format, bytes) in storages {
        file.extend(((bytes.len() / size(format)) as u64).to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// A module of a TorchScript archive that holds the tensors, by their names in it.
pub fn module(entries: Vec<(String, Py)>) -> Py {
    let mut children: Vec<(String, Vec<(String, Py)>)> = Vec::new();
    let mut own = vec![("training".to_string(), Py::Bool(false)), ("_is_full_backward_hook".into(), Py::None)];
    for (name, value) in entries {
        match name.split_once('.') {
            None => own.push((name, value)),
            Some((child, rest)) => match children.iter_mut().find(|(name, _)| name == child) {
                Some((_, entries)) => entries.push((rest.into(), value)),
                None => children.push((child.into(), vec![(rest.into(), value)])),
            },
        }
    }
    own.extend(children.into_iter().map(|(name, entries)| (name, module(entries))));
    let object = call("__torch__.torch.nn.modules.container.___torch_mangle_7", "Sequential", vec![]);
    Py::Build(Box::new(object), Box::new(dict(own)))
}
