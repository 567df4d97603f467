//! Python objects, and their pickles in protocols 2, 3 and 4.

use std::collections::HashMap;

/// A Python object.
#[derive(Debug, Clone, PartialEq)]
pub enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Py>),
    Tuple(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    Set(Vec<Py>),
    /// A function or class: module and name.
    Global(&'static str, &'static str),
    /// A call: function and arguments.
    Reduce(Box<Py>, Vec<Py>),
    /// An object with a state: function, arguments, state.
    Build(Box<Py>, Box<Py>),
    /// `collections.OrderedDict`, and other dicts that are made empty and then filled.
    Filled(Box<Py>, Vec<(Py, Py)>),
    /// A persistent reference.
    Persistent(Box<Py>),
    /// Bytes of the pickle as they are; they must leave one value on the stack.
    Raw(Vec<u8>),
}

pub fn text(text: &str) -> Py {
    Py::Str(text.into())
}

pub fn call(module: &'static str, name: &'static str, arguments: Vec<Py>) -> Py {
    Py::Reduce(Box::new(Py::Global(module, name)), arguments)
}

pub fn dict<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Py)>) -> Py {
    Py::Dict(named(entries))
}

pub fn ordered_dict<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Py)>) -> Py {
    let empty = call("collections", "OrderedDict", vec![]);
    Py::Filled(Box::new(empty), named(entries))
}

fn named<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Py)>) -> Vec<(Py, Py)> {
    entries.into_iter().map(|(k, v)| (text(k.as_ref()), v)).collect()
}

/// A NumPy float, as `np.sqrt` gives it to an attribute.
pub fn numpy_float(value: f64) -> Py {
    let dtype = call("numpy", "dtype", vec![text("f8"), Py::Bool(false), Py::Bool(true)]);
    let int = Py::Int;
    let state = [int(3), text("<"), Py::None, Py::None, Py::None, int(-1), int(-1), int(0)];
    let dtype = Py::Build(Box::new(dtype), Box::new(Py::Tuple(state.to_vec())));
    let bytes = Py::Bytes(value.to_le_bytes().to_vec());
    call("numpy.core.multiarray", "scalar", vec![dtype, bytes])
}

/// The pickle of an object, in protocol 2, 3 or 4.
pub fn pickle(object: &Py, protocol: u8) -> Vec<u8> {
    let mut writer = Writer { protocol, out: Vec::new(), memo: HashMap::new(), memorised: 0 };
    writer.write(object);
    writer.out.push(b'.');
    let mut file = vec![0x80, protocol];
    if protocol >= 4 {
        file.push(0x95);
        file.extend((writer.out.len() as u64).to_le_bytes());
    }
    file.extend(writer.out);
    file
}

struct Writer {
    protocol: u8,
    out: Vec<u8>,
    /// Texts and globals that were written, as pickle shares interned strings and classes.
    memo: HashMap<String, usize>,
    memorised: usize,
}

impl Writer {
    fn write(&mut self, object: &Py) {
        match object {
            Py::None => self.out.push(b'N'),
            Py::Bool(b) => self.out.push(if *b { 0x88 } else { 0x89 }),
            Py::Int(i) => self.int(*i),
            Py::Float(f) => {
                self.out.push(b'G');
                self.out.extend(f.to_be_bytes());
            }
            Py::Str(text) => self.text(text),
            Py::Bytes(bytes) => self.bytes(bytes),
            Py::List(items) => {
                self.out.push(b']');
                self.memorise();
                self.marked(items, b'e');
            }
            Py::Tuple(items) => {
                self.tuple(items);
                self.memorise();
            }
            Py::Dict(entries) => {
                self.out.push(b'}');
                self.memorise();
                self.entries(entries);
            }
            Py::Set(items) if self.protocol >= 4 => {
                self.out.push(0x8f);
                self.memorise();
                self.marked(items, 0x90);
            }
            Py::Set(items) => {
                let module = if self.protocol == 2 { "__builtin__" } else { "builtins" };
                self.write(&call(module, "set", vec![Py::List(items.clone())]));
            }
            Py::Global(module, name) => self.global(module, name),
            Py::Reduce(function, arguments) => {
                self.write(function);
                self.tuple(arguments);
                self.out.push(b'R');
                self.memorise();
            }
            Py::Build(object, state) => {
                self.write(object);
                self.write(state);
                self.out.push(b'b');
            }
            Py::Filled(object, entries) => {
                self.write(object);
                self.entries(entries);
            }
            Py::Persistent(id) => {
                self.write(id);
                self.out.push(b'Q');
            }
            Py::Raw(bytes) => self.out.extend(bytes),
        }
    }

    fn int(&mut self, i: i64) {
        if let Ok(byte) = u8::try_from(i) {
            self.out.extend([b'K', byte]);
        } else if let Ok(short) = u16::try_from(i) {
            self.out.push(b'M');
            self.out.extend(short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(i) {
            self.out.push(b'J');
            self.out.extend(int.to_le_bytes());
        } else {
            self.out.extend([0x8a, 8]);
            self.out.extend(i.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        if self.recall(text) {
            return;
        }
        match u8::try_from(text.len()) {
            Ok(short) if self.protocol >= 4 => self.out.extend([0x8c, short]),
            _ => {
                self.out.push(b'X');
                self.out.extend((text.len() as u32).to_le_bytes());
            }
        }
        self.out.extend(text.as_bytes());
        self.remember(text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.protocol == 2 {
            let latin1: String = bytes.iter().map(|&b| char::from(b)).collect();
            let encode = Py::Global("_codecs", "encode");
            self.write(&encode);
            // The text is not shared, because it is not a name.
            self.out.push(b'X');
            self.out.extend((latin1.len() as u32).to_le_bytes());
            self.out.extend(latin1.as_bytes());
            self.memorise();
            self.text("latin1");
            self.out.push(0x86);
            self.memorise();
            self.out.push(b'R');
            self.memorise();
            return;
        }
        match u8::try_from(bytes.len()) {
            Ok(short) => self.out.extend([b'C', short]),
            Err(_) => {
                self.out.push(b'B');
                self.out.extend((bytes.len() as u32).to_le_bytes());
            }
        }
        self.out.extend(bytes);
        self.memorise();
    }

    fn global(&mut self, module: &str, name: &str) {
        let key = format!("{module}\n{name}");
        if self.recall(&key) {
            return;
        }
        if self.protocol >= 4 {
            self.text(module);
            self.text(name);
            self.out.push(0x93);
        } else {
            self.out.push(b'c');
            self.out.extend(format!("{key}\n").as_bytes());
        }
        self.remember(&key);
    }

    fn tuple(&mut self, items: &[Py]) {
        if items.is_empty() {
            return self.out.push(b')');
        }
        if items.len() > 3 {
            self.out.push(b'(');
        }
        for item in items {
            self.write(item);
        }
        self.out.push(match items.len() {
            n @ 1..=3 => 0x84 + n as u8,
            _ => b't',
        });
    }

    fn marked(&mut self, items: &[Py], end: u8) {
        // Python's pickle writes batches of a thousand.
        for batch in items.chunks(1000) {
            self.out.push(b'(');
            for item in batch {
                self.write(item);
            }
            self.out.push(end);
        }
    }

    fn entries(&mut self, entries: &[(Py, Py)]) {
        match entries {
            [] => {}
            [(key, value)] => {
                self.write(key);
                self.write(value);
                self.out.push(b's');
            }
            _ => {
                for batch in entries.chunks(1000) {
                    self.out.push(b'(');
                    for (key, value) in batch {
                        self.write(key);
                        self.write(value);
                    }
                    self.out.push(b'u');
                }
            }
        }
    }

    fn memorise(&mut self) {
        let index = self.memorised;
        self.memorised += 1;
        if self.protocol >= 4 {
            self.out.push(0x94);
        } else if let Ok(short) = u8::try_from(index) {
            self.out.extend([b'q', short]);
        } else {
            self.out.push(b'r');
            self.out.extend((index as u32).to_le_bytes());
        }
    }

    fn remember(&mut self, key: &str) {
        self.memo.insert(key.into(), self.memorised);
        self.memorise();
    }

    fn recall(&mut self, key: &str) -> bool {
        let Some(&index) = self.memo.get(key) else {
            return false;
        };
        if let Ok(short) = u8::try_from(index) {
            self.out.extend([b'h', short]);
        } else {
            self.out.push(b'j');
            self.out.extend((index as u32).to_le_bytes());
        }
        true
    }
}
