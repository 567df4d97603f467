//! The names that a pickle may mention.

use crate::number::DType;

/// The role of a name that may appear in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    PersistentObject,
    RebuildTensor,
    RebuildParameter,
    LoadFromBytes,
    Dict,
    Set,
    Encode,
    NumpyScalar,
    NumpyDtype,
    /// A storage of numbers in one format; `None` if each tensor names its own format.
    Storage(Option<DType>),
    /// A class of a TorchScript archive. Its attributes are its state.
    Script,
    /// A name that occurs in checkpoints and has no meaning here.
    Inert,
    /// A class or function that is not known here. Its objects stay data, which is ignored.
    Foreign,
}

/// Stands for all classes of TorchScript archives: their modules begin with this name, and the rest differs from archive
/// to archive.
pub(super) const SCRIPT: &str = "__torch__";

/// Packages and modules whose functions run programs, load code or reach the system. No network's data needs one, so a
/// file that names one was made to attack its readers, and is refused by that name although nothing in it is ever called
/// here. `dnnlib.tflib` belongs to TensorFlow's StyleGAN2, whose files contain code.
const REFUSED_MODULES: &[&str] = &[
    "asyncio",
    "bdb",
    "code",
    "codeop",
    "commands",
    "ctypes",
    "dnnlib.tflib",
    "importlib",
    "marshal",
    "multiprocessing",
    "nt",
    "os",
    "pdb",
    "pickle",
    "pip",
    "posix",
    "pty",
    "pydoc",
    "runpy",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "timeit",
    "webbrowser",
];

/// Like [`REFUSED_MODULES`], for single functions of modules that are otherwise harmless.
const REFUSED: &[(&str, &str)] = &[
    ("builtins", "__import__"),
    ("builtins", "breakpoint"),
    ("builtins", "compile"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "execfile"),
    ("builtins", "input"),
    ("builtins", "open"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch_utils.persistence", "import_hook"),
];

/// True if a name exists only to run something.
pub(super) fn is_refused(module: &[u8], name: &[u8]) -> bool {
    let below = |package: &&str| {
        let rest = module.strip_prefix(package.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [] | [b'.', ..]))
    };
    // Python 2 calls it `__builtin__`.
    let module = if module == b"__builtin__" { b"builtins" } else { module };
    let exactly = |&(m, n): &(&str, &str)| m.as_bytes() == module && n.as_bytes() == name;
    REFUSED_MODULES.iter().any(below) || REFUSED.iter().any(exactly)
}

/// Every name that has a meaning here; all others are [`Global::Foreign`], or refused ([`is_refused`]).
pub(super) const ALLOWED: &[(&str, &str, Global)] = &[
    ("torch_utils.persistence", "_reconstruct_persistent_obj", Global::PersistentObject),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch._utils", "_rebuild_parameter_with_state", Global::RebuildParameter),
    ("torch.storage", "_load_from_bytes", Global::LoadFromBytes),
    ("torch", "FloatStorage", Global::Storage(Some(DType::F32))),
    ("torch", "DoubleStorage", Global::Storage(Some(DType::F64))),
    ("torch", "HalfStorage", Global::Storage(Some(DType::F16))),
    ("torch", "BFloat16Storage", Global::Storage(Some(DType::BF16))),
    ("torch", "LongStorage", Global::Storage(Some(DType::I64))),
    ("torch", "IntStorage", Global::Storage(Some(DType::I32))),
    ("torch", "ShortStorage", Global::Storage(Some(DType::I16))),
    ("torch", "CharStorage", Global::Storage(Some(DType::I8))),
    ("torch", "ByteStorage", Global::Storage(Some(DType::U8))),
    ("torch", "BoolStorage", Global::Storage(Some(DType::Bool))),
    ("torch.storage", "UntypedStorage", Global::Storage(None)),
    ("torch._utils", "_rebuild_qtensor", Global::Inert),
    ("torch.jit._pickle", "build_intlist", Global::Inert),
    ("torch.jit._pickle", "build_doublelist", Global::Inert),
    ("torch.jit._pickle", "build_boollist", Global::Inert),
    ("torch.jit._pickle", "build_tensorlist", Global::Inert),
    ("torch.jit._pickle", "build_tensor_from_id", Global::Inert),
    ("torch.jit._pickle", "restore_type_tag", Global::Inert),
    ("torch", "Size", Global::Inert),
    ("torch", "device", Global::Inert),
    ("torch", "float16", Global::Inert),
    ("torch", "float32", Global::Inert),
    ("torch", "float64", Global::Inert),
    ("torch", "memory_format", Global::Inert),
    ("collections", "OrderedDict", Global::Dict),
    ("dnnlib.util", "EasyDict", Global::Dict),
    ("builtins", "dict", Global::Dict),
    ("__builtin__", "dict", Global::Dict),
    ("builtins", "set", Global::Set),
    ("__builtin__", "set", Global::Set),
    ("builtins", "frozenset", Global::Set),
    ("__builtin__", "frozenset", Global::Set),
    ("builtins", "slice", Global::Inert),
    ("__builtin__", "slice", Global::Inert),
    ("builtins", "complex", Global::Inert),
    ("__builtin__", "complex", Global::Inert),
    ("builtins", "bytearray", Global::Inert),
    ("__builtin__", "bytearray", Global::Inert),
    ("builtins", "bytes", Global::Inert),
    ("__builtin__", "bytes", Global::Inert),
    ("_codecs", "encode", Global::Encode),
    ("numpy.core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy._core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy", "dtype", Global::NumpyDtype),
    ("numpy", "ndarray", Global::Inert),
    ("numpy.core.multiarray", "_reconstruct", Global::Inert),
    ("numpy._core.multiarray", "_reconstruct", Global::Inert),
    ("numpy.core.numeric", "_frombuffer", Global::Inert),
    ("numpy._core.numeric", "_frombuffer", Global::Inert),
    (SCRIPT, "class", Global::Script),
];
