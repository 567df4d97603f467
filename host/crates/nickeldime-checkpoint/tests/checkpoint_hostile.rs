//! Whatever the bytes of a checkpoint: an error or a network, in bounded memory and time.
//!
//! Memory is counted by an allocator around the system's, which is why these tests have a program of their own and run
//! one after the other.

use nickeldime_checkpoint::model::arch::Shapes;
use nickeldime_checkpoint::{self as checkpoint, CheckpointError, Metadata, Tensors};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nickeldime_testkit::fixture;
use nickeldime_testkit::hashed;
use nickeldime_testkit::official::{self, Official, small, storage, view};
use nickeldime_testkit::pickle_writer::{Py, call, dict, ordered_dict, pickle, text};
use nickeldime_testkit::rosinality;
use nickeldime_testkit::torch_writer::{legacy, module, state_dict, zip};

/// The system's allocator, and the most that was in use at once.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    PEAK.fetch_max(USED.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if both lived for a moment: the worst case.
        grow(size);
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Reads a file; what matters is that this returns, soon and without much memory: 3 times the file's size on top of
/// its own bytes, and a little for the smallest. True where it was a network.
fn survives(bytes: &[u8]) -> bool {
    survives_within(3, bytes)
}

fn survives_within(times: usize, bytes: &[u8]) -> bool {
    let network = reading(times, bytes, checkpoint::from_bytes);
    let mut tensors = network.iter().flat_map(|checkpoint| checkpoint.generator.tensors.values());
    assert!(tensors.all(|tensor| tensor.iter().all(|x| x.is_finite())));
    network.is_some()
}

/// The same for an embedder's weights: everything that the file has.
fn survives_as_weights(times: usize, bytes: &[u8]) -> bool {
    let all = |shapes: &Shapes| Ok(shapes.keys().map(|name| (name.clone(), name.clone())).collect());
    reading(times, bytes, |path, bytes| checkpoint::read_chosen(path, bytes, all)).is_some()
}

/// What a reader makes of a file, with a limit to its memory in file sizes.
fn reading<T>(times: usize, bytes: &[u8], read: impl FnOnce(&Path, &[u8]) -> Result<T, CheckpointError>) -> Option<T> {
    let allowed = times * bytes.len() + (1 << 19);
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = Instant::now();
    let outcome = read(Path::new("file.pkl"), bytes);
    let took = start.elapsed();
    let peak = PEAK.load(Relaxed) - before;
    assert!(peak <= allowed, "{peak} bytes for a file of {}", bytes.len());
    assert!(took < Duration::from_secs(5), "{took:?} for {} bytes", bytes.len());
    match outcome {
        Ok(read) => Some(read),
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("file.pkl: "), "{error}");
            assert!(!error.chars().any(char::is_control), "{error}");
            assert!(error.len() < 1000, "{error}");
            None
        }
    }
}

/// Faults tried: optimised builds have time for more.
const fn tries(optimised: usize) -> usize {
    if cfg!(debug_assertions) { optimised / 10 } else { optimised }
}

/// Enough randomness for faults, the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX generator, its better half.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn any_flipped_bit_is_an_error_or_a_network() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut random = Random(1);
    for protocol in 2..=4 {
        let mut bytes = Official::new(&small()).pickle(protocol);
        let mut networks = 0;
        for _ in 0..tries(6_000) {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            networks += usize::from(survives(&bytes));
            bytes[at] ^= 1 << bit;
        }
        // Most of a file is numbers, and numbers may be others.
        assert!(networks > 0, "{networks}");
    }
}

#[test]
fn many_wrong_bytes_are_an_error_or_a_network() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut random = Random(2);
    let whole = Official::new(&small()).pickle(3);
    for _ in 0..tries(20_000) {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(8) {
            let (at, length) = (random.below(bytes.len()), random.below(16));
            let end = (at + length).min(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at..end].fill(0xff),
                2 => {
                    bytes.drain(at..end);
                }
                _ => {
                    let from = random.below(bytes.len() - 16);
                    let piece = bytes[from..from + 16].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        survives(&bytes);
    }
}

#[test]
fn a_real_file_with_flipped_bits_is_an_error_or_a_network() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut random = Random(3);
    for name in ["teacher-digits32.pkl", "teacher-digits32-proto3.pkl"] {
        let mut bytes = std::fs::read(fixture("digits32").join(name)).unwrap();
        assert!(survives(&bytes));
        for _ in 0..tries(200) {
            // Near the front there is more structure than numbers.
            let part = bytes.len() >> (3 * random.below(4));
            let (at, bit) = (random.below(part), random.below(8));
            bytes[at] ^= 1 << bit;
            survives(&bytes);
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_tensor_file_with_flipped_bits_is_an_error_or_a_network() {
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let checkpoint = Official::new(&small()).checkpoint;
    checkpoint::write_checkpoint(&path, &checkpoint, &Metadata::new()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let mut random = Random(4);
    for _ in 0..tries(50_000) {
        let (at, bit) = (random.below(bytes.len()), random.below(8));
        bytes[at] ^= 1 << bit;
        survives(&bytes);
        bytes[at] ^= 1 << bit;
    }
}

#[test]
fn a_weights_file_with_wrong_bytes_is_an_error_or_tensors() {
    let _alone = ONE_AT_A_TIME.lock();
    let tensors: Tensors =
        (1..8).map(|i| (format!("layer{i}.0.conv1.weight"), hashed::input(i, &[4, 3, 3, i as usize]))).collect();
    let (entries, storages) = state_dict(&tensors, false);
    let script = zip(&module(entries.clone()), &storages);
    let state = zip(&ordered_dict(entries), &storages);
    let (entries, storages) = state_dict(&tensors, true);
    let mut random = Random(5);
    for mut bytes in [script, state, legacy(&ordered_dict(entries), &storages)] {
        assert!(survives_as_weights(3, &bytes));
        let mut read = 0;
        for _ in 0..tries(20_000) {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            read += usize::from(survives_as_weights(3, &bytes));
            bytes[at] ^= 1 << bit;
        }
        assert!(read > 0);
        for _ in 0..tries(5_000) {
            let (at, length) = (random.below(bytes.len()), random.below(16));
            let end = (at + length).min(bytes.len());
            let mut wrong = bytes.clone();
            match random.below(3) {
                0 => wrong[at..end].fill(0xff),
                1 => drop(wrong.drain(at..end)),
                _ => wrong.truncate(at),
            }
            survives_as_weights(3, &wrong);
        }
    }
    // The bombs of other tests are pickles too: a dict in itself, in a zip.
    let itself = Py::Raw(b"}q\x00X\x01\0\0\0aq\x01h\x00sX\x01\0\0\0bq\x02h\x00s".to_vec());
    assert!(!survives_as_weights(3, &zip(&itself, &vec![])));
}

#[test]
fn a_training_of_rosinalitys_with_wrong_bytes_is_an_error_or_a_network() {
    let _alone = ONE_AT_A_TIME.lock();
    let whole = official::weights(&small());
    let generator = rosinality::generator(&whole.generator, true);
    let critic = rosinality::critic(whole.critic().unwrap());
    let mean = whole.generator.tensors["mapping.w_avg"].clone();
    let mut random = Random(6);
    for (former, lone) in [(false, vec![("latent_avg", mean)]), (true, vec![])] {
        let networks = [("d", &critic), ("g_ema", &generator)];
        let (mut entries, storages) = rosinality::state_dicts(&networks, &lone, former);
        entries.extend(rosinality::training());
        let mut bytes = if former { legacy(&dict(entries), &storages) } else { zip(&dict(entries), &storages) };
        assert!(survives(&bytes));
        let mut networks = 0;
        for _ in 0..tries(6_000) {
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            networks += usize::from(survives(&bytes));
            bytes[at] ^= 1 << bit;
        }
        assert!(networks > 0, "{networks}");
        for end in (0..bytes.len()).step_by(211) {
            survives(&bytes[..end]);
        }
    }
    // A dict of numbers that is in itself under many names: each of its entries is looked at once for every name.
    let many = Py::Dict((0..2_000).map(|i| (Py::Int(i), Py::None)).collect());
    let shared = Py::Raw(b"j\x60\xea\0\0".to_vec());
    let mut names: Vec<(String, Py)> = (0..2_000).map(|i| (format!("n{i}"), shared.clone())).collect();
    let remembered = pickle(&many, 2);
    // Without the protocol in front and the end behind, and remembered under number 60000.
    let inner = [&remembered[2..remembered.len() - 1], b"r\x60\xea\0\0"].concat();
    names.insert(0, ("first".into(), Py::Raw(inner)));
    assert!(!survives_as_weights(8, &zip(&dict(names), &vec![("FloatStorage", vec![0; 1 << 19])])));
}

#[test]
fn bombs_do_not_go_off() {
    let _alone = ONE_AT_A_TIME.lock();
    const MANY: usize = 1_000_000;
    let repeat = |front: &[u8], unit: &[u8], back: &[u8]| {
        let mut bytes = vec![0x80, 4];
        bytes.extend(front);
        bytes.extend(unit.repeat(MANY));
        bytes.extend(back);
        bytes
    };
    let length = |operation: u8, bytes: &[u8]| [&[0x80, 4, operation][..], bytes].concat();
    let bombs = [
        ("marks", repeat(b"", b"(", b".")),
        ("lists", repeat(b"", b"]", b".")),
        ("dicts in dicts", repeat(b"", b"}N", b".")),
        ("nested lists", repeat(b"]", b"]a", b".")),
        ("nested tuples", repeat(b")", b"\x85", b".")),
        ("nested memo", repeat(b"]\x94", b"h\x00\x85\x94", b".")),
        ("doubling tuples", repeat(b"N", b"2\x86", b".")),
        ("a list in itself", repeat(b"]\x94", b"h\x00a", b".")),
        ("entries", repeat(b"}(", b"NN", b"u.")),
        ("entries, one by one", repeat(b"}", b"NNs", b".")),
        ("nothings", repeat(b"", b"N", b".")),
        ("long tuple", repeat(b"(", b"K\x01", b"t.")),
        ("memo", repeat(b"N", b"\x94", b".")),
        ("memo by number", repeat(b"N", b"r\xff\xff\xff\xff", b".")),
        ("calls", repeat(b"c_codecs\nencode\n\x94", b"h\x00)R0", b".")),
        ("references", repeat(b"N", b"Q", b".")),
        ("bytes", length(b'B', b"\xff\xff\xff\xff")),
        ("long bytes", length(0x8e, b"\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("long text", length(0x8d, b"\xff\xff\xff\xff\xff\xff\xff\x7f")),
        ("frame", length(0x95, b"\xff\xff\xff\xff\xff\xff\xff\xff")),
        ("integer", length(0x8b, b"\xff\xff\xff\x7f")),
        ("set", repeat(b"\x8f(", b"K\x01", b"\x90.")),
        ("frozen set", repeat(b"(", b"K\x01", b"\x91.")),
    ];
    for (what, bytes) in bombs {
        // A value for every byte or two, made for nothing but this.
        assert!(!survives_within(8, &bytes), "{what}");
    }
}

#[test]
fn modules_inside_themselves_end() {
    let _alone = ONE_AT_A_TIME.lock();
    // meta = {"class_name": ..., "state": {"_modules": {"a": this, "b": this, ...}}}
    let mut module = b"\x80\x04}(\x8c\x05G_emactorch_utils.persistence\n_reconstruct_persistent_obj\n".to_vec();
    module.extend(b"}q\x00(\x8c\x0aclass_name\x8c\x09Generator\x8c\x05state}(\x8c\x08_modules}q\x01uu\x85Rq\x020");
    module.extend(b"h\x01(");
    for name in b'a'..=b'z' {
        module.extend([0x8c, 1, name, b'h', 2]);
    }
    module.extend(b"u0h\x02u.");
    assert!(!survives(&module));

    // The same with finite but shared depth: 26 to the power of the depth.
    let mut level = dict([("class_name", text("Generator")), ("state", dict::<&str>([]))]);
    for _ in 0..3 {
        let object = call("torch_utils.persistence", "_reconstruct_persistent_obj", vec![level]);
        let modules = (b'a'..=b'f').map(|name| (char::from(name).to_string(), object.clone()));
        let state = dict([("_modules", dict(modules))]);
        level = dict([("class_name", text("Generator")), ("state", state)]);
    }
    let object = call("torch_utils.persistence", "_reconstruct_persistent_obj", vec![level]);
    assert!(!survives(&pickle(&dict([("G_ema", object)]), 4)));
}

#[test]
fn one_storage_shown_many_times_stays_one() {
    let _alone = ONE_AT_A_TIME.lock();
    // Every weight of a wide network out of a single number.
    let mut wide = small();
    wide.channels = vec![64, 64];
    let mut official = Official::new(&wide);
    official.checkpoint.discriminator = None;
    let zero = view(storage("FloatStorage", 1, vec![0; 4]), 0, &[], &[]);
    let Py::Reduce(_, arguments) = &zero else { unreachable!("a view is a call") };
    for (name, shape) in wide.tensor_shapes() {
        let flat = view(arguments[0].clone(), 0, &shape, &vec![0; shape.len()]);
        official.tensors.insert(format!("G_ema.{name}"), flat);
    }
    assert!(!survives(&official.pickle(4)));
}

#[test]
fn many_tensors_in_one_large_storage_cost_it_once() {
    let _alone = ONE_AT_A_TIME.lock();
    // A storage's file that is all structure before its few numbers: 2 MB, which 828 tensors look into.
    let mut official = Official::new(&small());
    official.checkpoint.discriminator = None;
    let zero = view(storage("FloatStorage", 1, vec![0; 4]), 0, &[], &[]);
    let Py::Reduce(_, arguments) = &zero else { unreachable!("a view is a call") };
    let Py::Reduce(_, file) = &arguments[0] else { unreachable!("a storage is a call") };
    let [Py::Bytes(file)] = &file[..] else { unreachable!("of a file as bytes") };
    // It takes as long as it can: values that are thrown away again.
    let mut slow = file[..2].to_vec();
    slow.extend(b"N0".repeat(1 << 20));
    slow.extend(&file[2..]);
    let length = (slow.len() as u32).to_le_bytes();
    // Written once, as bytes or as text of the same bytes, and remembered under a number that nothing else has.
    const PLACE: [u8; 4] = 60_000u32.to_le_bytes();
    let bytes = [b"B", &length[..], &slow].concat();
    let latin1: String = slow.iter().map(|&b| char::from(b)).collect();
    let length = (latin1.len() as u32).to_le_bytes();
    let encode = [b"c_codecs\nencode\nX", &length[..], latin1.as_bytes(), b"X\x06\0\0\0latin1\x86R"].concat();
    let shared = || Py::Raw([b"j", &PLACE[..]].concat());
    for (name, shape) in small().tensor_shapes() {
        official.tensors.insert(format!("G_ema.{name}"), view(shared(), 0, &shape, &vec![0; shape.len()]));
    }
    let flat = view(shared(), 0, &[1], &[1]);
    official.more.extend((0..828).map(|i| ("G_ema.synthesis".to_owned(), format!("t{i:03}"), flat.clone())));
    for bytes in [bytes, encode] {
        let storage = [b"ctorch.storage\n_load_from_bytes\n", &bytes[..], b"\x85Rr", &PLACE].concat();
        let Py::Dict(mut entries) = official.object() else { unreachable!("a file is a dict") };
        entries.insert(0, (text("storage"), Py::Raw(storage)));
        survives(&pickle(&Py::Dict(entries), 3));
    }
}
