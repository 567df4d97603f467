//! Python pickles (protocols 2 to 5) as plain data: a tree of values in an arena.
//!
//! A pickle is a program for a small stack machine, and Python's own reader calls whatever functions the program names.
//! This one calls nothing: a call is recorded as a node with its name and arguments. Names that have a meaning here are
//! listed ([`globals`]); objects of all other classes are kept as data that nobody looks into; and a file with a name that
//! exists only to run something is refused by that name. What is kept for each byte of the file is limited, lengths are
//! checked before anything is stored, and neither reading nor dropping recurses, so no file can exhaust time, memory or
//! stack.

use std::borrow::Cow;
use std::ops::Range;

mod globals;
mod machine;

use super::error::printable;
use globals::ALLOWED;
pub(super) use globals::Global;

/// A value: a small one itself, or the place of a larger one in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i32),
    Node(u32),
}

/// A value as a reader of the tree sees it.
#[derive(Debug)]
pub(super) enum View<'p> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits: little-endian, two's complement.
    BigInt(&'p [u8]),
    Float(f64),
    Text(&'p str),
    Bytes,
    List,
    Set,
    Tuple(&'p [Value]),
    Dict(Entries<'p>),
    /// A class or function: its meaning here and its name, which is empty if it has no meaning here.
    Global(Global, &'static str),
    /// The object that a call or a constructor would have made.
    Object {
        callable: Global,
        arguments: &'p [Value],
        state: Value,
    },
    /// A reference to data outside the pickle, identified by this value.
    Persistent(Value),
}

/// Why a pickle was not read.
#[derive(Debug)]
pub(super) struct PickleError {
    /// Number of bytes from the beginning of the data that was read.
    pub offset: usize,
    pub problem: Problem,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// A name that exists only to run something.
    Forbidden(String),
    Damaged(String),
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

const NOTHING: u32 = u32::MAX;

/// The first and the last link of a list or dict.
#[derive(Debug, Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
}

const EMPTY: Chain = Chain { first: NOTHING, last: NOTHING };

#[derive(Debug, Clone, Copy)]
enum Node {
    Long(i64),
    Float(f64),
    BigInt(Span),
    Text(Span),
    Bytes(Span),
    // The contents of lists and sets are not kept, because no reader needs them.
    List,
    Set,
    Dict(Chain),
    Tuple(Span),
    Global(u32),
    Object(u32),
    Persistent(Value),
}

#[derive(Debug, Clone, Copy)]
struct Link {
    key: Value,
    value: Value,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    /// Index of the class or function, as in [`Node::Global`]; [`NOTHING`] if the callable is itself the result of a
    /// call.
    callable: u32,
    arguments: Span,
    state: Value,
}

/// A pickle that was read: the tree, and the bytes that it refers to.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
    links: Vec<Link>,
    tuples: Vec<Value>,
    objects: Vec<Object>,
    /// Module and name of the globals without a meaning here. Their numbers follow those of [`ALLOWED`].
    foreign: Vec<[Span; 2]>,
    root: Value,
    end: usize,
}

/// A dict's entries in the order in which they were set. A key may occur twice; the later entry counts.
#[derive(Debug, Clone)]
pub(super) struct Entries<'p> {
    links: &'p [Link],
    next: u32,
}

impl Iterator for Entries<'_> {
    type Item = (Value, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let link = self.links.get(self.next as usize)?;
        self.next = link.next;
        Some((link.key, link.value))
    }
}

/// The meaning of the global with this number.
fn meaning(index: u32) -> Global {
    ALLOWED.get(index as usize).map_or(Global::Foreign, |&(_, _, global)| global)
}

impl<'a> Pickle<'a> {
    /// Reads one pickle that begins at `start`.
    pub fn read(bytes: &'a [u8], start: usize) -> Result<Self, PickleError> {
        Self::read_within(bytes, start, bytes.len().saturating_sub(start))
    }

    /// Reads one pickle that is part of a file of `length` bytes. The rest of the file holds the numbers that the pickle
    /// refers to.
    pub fn read_part(bytes: &'a [u8], length: usize) -> Result<Self, PickleError> {
        Self::read_within(bytes, 0, length)
    }

    fn read_within(bytes: &'a [u8], start: usize, length: usize) -> Result<Self, PickleError> {
        // Spans are 32 bits wide.
        if u32::try_from(bytes.len()).is_err() {
            return Err(PickleError {
                offset: start,
                problem: Problem::Damaged("4 GiB or more: too large for a checkpoint".into()),
            });
        }
        machine::run(bytes, start, length)
    }

    /// The value of the whole pickle.
    pub fn root(&self) -> Value {
        self.root
    }

    /// Offset of the byte after the pickle.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Every text of the pickle in the order of the file, each once; a list of texts gives its items.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let text = |node: &Node| match node {
            // The UTF-8 was checked when the text was read.
            Node::Text(span) => str::from_utf8(self.slice(*span)).ok(),
            _ => None,
        };
        self.nodes.iter().filter_map(text)
    }

    /// The identifying value of every reference to data outside the pickle.
    pub fn references(&self) -> impl Iterator<Item = Value> {
        let id = |node: &Node| match node {
            Node::Persistent(id) => Some(*id),
            _ => None,
        };
        self.nodes.iter().filter_map(id)
    }

    /// A value as a reader sees it.
    pub fn view(&self, value: Value) -> View<'_> {
        let index = match value {
            Value::None => return View::None,
            Value::Bool(b) => return View::Bool(b),
            Value::Int(i) => return View::Int(i64::from(i)),
            Value::Node(index) => index,
        };
        let Some(&node) = self.nodes.get(index as usize) else {
            return View::None;
        };
        match node {
            Node::Long(i) => View::Int(i),
            Node::Float(f) => View::Float(f),
            Node::BigInt(span) => View::BigInt(self.slice(span)),
            // The UTF-8 was checked when the text was read.
            Node::Text(span) => View::Text(str::from_utf8(self.slice(span)).unwrap_or_default()),
            Node::Bytes(_) => View::Bytes,
            Node::List => View::List,
            Node::Set => View::Set,
            Node::Dict(chain) => View::Dict(Entries { links: &self.links, next: chain.first }),
            Node::Tuple(span) => View::Tuple(self.items(span)),
            Node::Global(index) => match ALLOWED.get(index as usize) {
                Some(&(_, name, global)) => View::Global(global, name),
                None => View::Global(Global::Foreign, ""),
            },
            Node::Object(index) => match self.objects.get(index as usize) {
                Some(object) => View::Object {
                    callable: meaning(object.callable),
                    arguments: self.items(object.arguments),
                    state: object.state,
                },
                None => View::None,
            },
            Node::Persistent(id) => View::Persistent(id),
        }
    }

    /// Module and name of a class or function, or of the callable that made an object; `None` for other values.
    pub fn name(&self, value: Value) -> Option<String> {
        let Value::Node(index) = value else { return None };
        let index = match self.nodes.get(index as usize)? {
            Node::Global(index) => *index as usize,
            Node::Object(index) => self.objects.get(*index as usize)?.callable as usize,
            _ => return None,
        };
        if let Some((module, name, _)) = ALLOWED.get(index) {
            return Some(format!("{module}.{name}"));
        }
        let [module, name] = self.foreign.get(index - ALLOWED.len())?.map(|span| printable(self.slice(span)));
        Some(format!("{module}.{name}"))
    }

    /// The bytes of a value: a bytes object, or protocol 2's encoding of one, which is decoded.
    pub fn bytes(&self, value: Value) -> Option<Cow<'_, [u8]>> {
        let (span, is_text) = self.bytes_span(value)?;
        if !is_text {
            return Some(Cow::Borrowed(self.slice(span)));
        }
        let text = str::from_utf8(self.slice(span)).ok()?;
        let bytes = text.chars().map(|c| u8::try_from(c).ok());
        Some(Cow::Owned(bytes.collect::<Option<_>>()?))
    }

    /// Offset in the file of a value's [`bytes`](Self::bytes). Equal offsets mean the same bytes.
    pub fn bytes_place(&self, value: Value) -> Option<usize> {
        self.bytes_span(value).map(|(span, _)| span.start as usize)
    }

    /// Where a value's bytes are, and true if they are written as text.
    fn bytes_span(&self, value: Value) -> Option<(Span, bool)> {
        let node = |value| match value {
            Value::Node(index) => self.nodes.get(index as usize).copied(),
            _ => None,
        };
        if let Some(Node::Bytes(span)) = node(value) {
            return Some((span, false));
        }
        // `_codecs.encode(text, "latin1")`: every character is one byte.
        let View::Object { callable: Global::Encode, arguments: &[text, encoding], .. } = self.view(value) else {
            return None;
        };
        let (Some(Node::Text(span)), View::Text("latin1")) = (node(text), self.view(encoding)) else {
            return None;
        };
        Some((span, true))
    }

    /// The value as a number; NumPy's scalars count as numbers.
    pub fn number(&self, value: Value) -> Option<f64> {
        match self.view(value) {
            View::Int(i) => Some(i as f64),
            View::Float(f) => Some(f),
            View::Object { callable: Global::NumpyScalar, arguments: &[dtype, bytes], .. } => {
                let View::Object { callable: Global::NumpyDtype, arguments: &[kind, ..], state } = self.view(dtype)
                else {
                    return None;
                };
                if let View::Tuple(&[_, order, ..]) = self.view(state)
                    && matches!(self.view(order), View::Text(">"))
                {
                    return None;
                }
                let View::Text(kind) = self.view(kind) else {
                    return None;
                };
                let bytes = self.bytes(bytes)?;
                match kind {
                    "f8" => Some(f64::from_le_bytes(bytes[..].try_into().ok()?)),
                    "f4" => Some(f64::from(f32::from_le_bytes(bytes[..].try_into().ok()?))),
                    "i8" => Some(i64::from_le_bytes(bytes[..].try_into().ok()?) as f64),
                    "i4" => Some(f64::from(i32::from_le_bytes(bytes[..].try_into().ok()?))),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        self.bytes.get(span.range()).unwrap_or_default()
    }

    fn items(&self, span: Span) -> &[Value] {
        self.tuples.get(span.range()).unwrap_or_default()
    }
}
