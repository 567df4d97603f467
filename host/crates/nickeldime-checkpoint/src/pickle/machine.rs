//! The stack machine that runs a pickle. It records every operation and calls nothing.

use super::globals::{ALLOWED, Global, SCRIPT, is_refused};
use super::{EMPTY, Link, NOTHING, Node, Object, Pickle, PickleError, Problem, Span, Value, meaning};
use crate::error::printable;

/// The state of the stack machine.
struct Machine<'a> {
    at: usize,
    /// Offset of the current operation.
    operation: usize,
    stack: Vec<Value>,
    marks: Vec<u32>,
    memo: Vec<Option<Value>>,
    kept: usize,
    most: usize,
    pickle: Pickle<'a>,
}

type Step<T> = Result<T, PickleError>;

/// Reads one pickle of `bytes` from `start`. `bytes` are fewer than 4 GiB. `room` is the length of the file from there
/// on, which limits how much is kept.
pub(super) fn run(bytes: &[u8], start: usize, room: usize) -> Step<Pickle<'_>> {
    let mut machine = Machine {
        at: start,
        operation: start,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        kept: 0,
        // Official files keep one value for some 40 bytes of file, the smallest networks (8x8) one for 7.
        most: room / 6 + 4096,
        pickle: Pickle {
            bytes,
            nodes: Vec::new(),
            links: Vec::new(),
            tuples: Vec::new(),
            objects: Vec::new(),
            foreign: Vec::new(),
            root: Value::None,
            end: start,
        },
    };
    while machine.step()? {}
    Ok(machine.pickle)
}

impl<'a> Machine<'a> {
    /// Does one operation; false after the last one. Operations are listed in the order of CPython's `pickletools`.
    fn step(&mut self) -> Step<bool> {
        self.operation = self.at;
        match self.byte()? {
            b'J' => {
                let int = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(int))?;
            }
            b'K' => {
                let int = i32::from(self.byte()?);
                self.push(Value::Int(int))?;
            }
            b'M' => {
                let int = i32::from(u16::from_le_bytes(self.array()?));
                self.push(Value::Int(int))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)?;
            }
            0x8b => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'U' => {
                let length = usize::from(self.byte()?);
                self.string(length)?;
            }
            b'T' => {
                let length = self.length4()?;
                self.string(length)?;
            }
            b'B' => {
                let length = self.length4()?;
                self.bytes(length)?;
            }
            b'C' => {
                let length = usize::from(self.byte()?);
                self.bytes(length)?;
            }
            0x8e | 0x96 => {
                let length = self.length8()?;
                self.bytes(length)?;
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            0x8c => {
                let length = usize::from(self.byte()?);
                self.text(length)?;
            }
            b'X' => {
                let length = self.length4()?;
                self.text(length)?;
            }
            0x8d => {
                let length = self.length8()?;
                self.text(length)?;
            }
            b'G' => {
                let float = f64::from_be_bytes(self.array()?);
                self.node(Node::Float(float))?;
            }
            b']' => self.node(Node::List)?,
            b'a' => {
                self.pop()?;
                self.contents(|node| matches!(node, Node::List))?;
            }
            b'e' => {
                self.since_mark()?;
                self.contents(|node| matches!(node, Node::List))?;
            }
            b')' => self.tuple(0)?,
            b't' => {
                let base = self.mark()?;
                self.tuple(self.stack.len() - base)?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'}' => self.node(Node::Dict(EMPTY))?,
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.entries(&[key, value])?;
            }
            b'u' => {
                let pairs = self.since_mark()?;
                self.entries(&pairs)?;
            }
            0x8f => self.node(Node::Set)?,
            0x90 => {
                self.since_mark()?;
                self.contents(|node| matches!(node, Node::Set))?;
            }
            0x91 => {
                self.since_mark()?;
                self.node(Node::Set)?;
            }
            b'0' => match self.marks.last() {
                Some(&base) if base as usize == self.stack.len() => {
                    self.marks.pop();
                }
                _ => {
                    self.pop()?;
                }
            },
            b'2' => {
                let top = self.pop()?;
                self.push(top)?;
                self.push(top)?;
            }
            b'(' => self.set_mark()?,
            b'1' => {
                self.since_mark()?;
            }
            b'h' => {
                let index = usize::from(self.byte()?);
                self.recall(index)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index as usize)?;
            }
            b'q' => {
                let index = usize::from(self.byte()?);
                self.memorise(index)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.memorise(index as usize)?;
            }
            0x94 => self.memorise(self.memo.len())?,
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global([module, name])?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Some(module), Some(name)) = (self.as_text(module), self.as_text(name)) else {
                    return Err(self.error("a global whose name is not text"));
                };
                self.global([module, name])?;
            }
            // A call; and a construction, without and with named arguments.
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?;
                self.call()?;
            }
            b'b' => {
                let state = self.pop()?;
                let node = self.top()?;
                match self.pickle.nodes.get(node) {
                    Some(&Node::Object(index)) => {
                        if let Some(object) = self.pickle.objects.get_mut(index as usize) {
                            object.state = state;
                        }
                    }
                    // The attributes of a dict subclass are not its contents.
                    Some(Node::Dict(_) | Node::Set | Node::List) => {}
                    _ => return Err(self.error("a state for something that has none")),
                }
            }
            0x80 => {
                let protocol = self.byte()?;
                if !(2..=5).contains(&protocol) {
                    let problem = format!("pickle protocol {protocol}: 2 to 5 are read");
                    return Err(self.error(problem));
                }
            }
            b'.' => {
                self.pickle.root = self.pop()?;
                self.pickle.end = self.at;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return Err(self.error("the pickle ends with values left over: damaged"));
                }
                return Ok(false);
            }
            0x95 => {
                // A frame only groups what follows; its length must be in the file.
                self.length8()?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.node(Node::Persistent(id))?;
            }
            other => {
                let problem = format!(
                    "{:?} is no operation of the pickle protocols 2 to 5: damaged, or not a pickle",
                    char::from(other)
                );
                return Err(self.error(problem));
            }
        }
        Ok(true)
    }

    fn error(&self, problem: impl Into<String>) -> PickleError {
        PickleError { offset: self.operation, problem: Problem::Damaged(problem.into()) }
    }

    // Operations that read from the file.

    fn take(&mut self, length: usize) -> Step<Span> {
        let left = self.pickle.bytes.len() - self.at;
        if length > left {
            let problem = format!("{length} bytes expected, {left} left: cut short or damaged");
            return Err(self.error(problem));
        }
        let start = self.at;
        self.at += length;
        // The file's length fits 32 bits: checked in `read`.
        Ok(Span { start: start as u32, end: self.at as u32 })
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let span = self.take(N)?;
        let bytes = self.pickle.slice(span).try_into();
        bytes.map_err(|_| self.error("cut short"))
    }

    fn byte(&mut self) -> Step<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn length4(&mut self) -> Step<usize> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        self.check_length(length as u64)
    }

    fn length8(&mut self) -> Step<usize> {
        let length = u64::from_le_bytes(self.array()?);
        self.check_length(length)
    }

    fn check_length(&mut self, length: u64) -> Step<usize> {
        let left = self.pickle.bytes.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => Ok(length),
            _ => {
                let problem = format!("{length} bytes expected, {left} left: cut short or damaged");
                Err(self.error(problem))
            }
        }
    }

    fn line(&mut self) -> Step<Span> {
        /// The longest name of a module or function; no checkpoint has one as long.
        const LONGEST: usize = 1024;
        let rest = &self.pickle.bytes[self.at..];
        let rest = &rest[..rest.len().min(LONGEST)];
        let Some(length) = rest.iter().position(|&b| b == b'\n') else {
            return Err(self.error("a name without an end: cut short or damaged"));
        };
        let start = self.at as u32;
        self.at += length + 1;
        Ok(Span { start, end: start + length as u32 })
    }

    // Operations that push onto the stack.

    fn keep(&mut self) -> Step<()> {
        self.kept += 1;
        match self.kept > self.most {
            true => Err(self.error("more objects than a checkpoint of this size has: refused")),
            false => Ok(()),
        }
    }

    fn push(&mut self, value: Value) -> Step<()> {
        if self.stack.len() >= self.most {
            return Err(self.error("more values at once than a checkpoint of this size has: refused"));
        }
        self.stack.push(value);
        Ok(())
    }

    fn node(&mut self, node: Node) -> Step<()> {
        self.keep()?;
        // There are fewer nodes than bytes in the file.
        let index = self.pickle.nodes.len() as u32;
        self.pickle.nodes.push(node);
        self.push(Value::Node(index))
    }

    fn long(&mut self, length: usize) -> Step<()> {
        let span = self.take(length)?;
        let digits = self.pickle.slice(span);
        let Some(&last) = digits.last() else {
            return self.push(Value::Int(0));
        };
        if digits.len() > 8 {
            return self.node(Node::BigInt(span));
        }
        let mut bytes = [if last < 0x80 { 0 } else { 0xff }; 8];
        bytes[..digits.len()].copy_from_slice(digits);
        self.node(Node::Long(i64::from_le_bytes(bytes)))
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let span = self.take(length)?;
        if str::from_utf8(self.pickle.slice(span)).is_err() {
            return Err(self.error("text that is not UTF-8: damaged"));
        }
        self.node(Node::Text(span))
    }

    /// Pushes Python 2's `str`, which is text or bytes.
    fn string(&mut self, length: usize) -> Step<()> {
        let span = self.take(length)?;
        match str::from_utf8(self.pickle.slice(span)) {
            Ok(_) => self.node(Node::Text(span)),
            Err(_) => self.node(Node::Bytes(span)),
        }
    }

    fn bytes(&mut self, length: usize) -> Step<()> {
        let span = self.take(length)?;
        self.node(Node::Bytes(span))
    }

    fn tuple(&mut self, length: usize) -> Step<()> {
        let start = self.pickle.tuples.len();
        for _ in 0..length {
            self.keep()?;
        }
        let Some(first) = self.stack.len().checked_sub(length) else {
            return Err(self.error("a tuple of more values than there are: damaged"));
        };
        if self.marks.last().is_some_and(|&base| (base as usize) > first) {
            return Err(self.error("a tuple across a mark: damaged"));
        }
        self.pickle.tuples.extend(self.stack.drain(first..));
        let span = Span { start: start as u32, end: self.pickle.tuples.len() as u32 };
        self.node(Node::Tuple(span))
    }

    fn global(&mut self, spans: [Span; 2]) -> Step<()> {
        let [module, name] = spans.map(|span| self.pickle.slice(span));
        let script = module.strip_prefix(SCRIPT.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'.', ..]));
        let known = |&(m, n, global): &(&str, &str, Global)| match global {
            Global::Script => script,
            _ => m.as_bytes() == module && n.as_bytes() == name,
        };
        let index = match ALLOWED.iter().position(known) {
            Some(index) => index,
            None if is_refused(module, name) => {
                return Err(PickleError {
                    offset: self.operation,
                    problem: Problem::Forbidden(format!("{}.{}", printable(module), printable(name))),
                });
            }
            None => {
                self.keep()?;
                self.pickle.foreign.push(spans);
                ALLOWED.len() + self.pickle.foreign.len() - 1
            }
        };
        self.node(Node::Global(index as u32))
    }

    // Operations that pop from the stack.

    fn pop(&mut self) -> Step<Value> {
        let base = self.marks.last().map_or(0, |&base| base as usize);
        match self.stack.pop() {
            Some(value) if self.stack.len() >= base => Ok(value),
            _ => Err(self.error("a value is missing: damaged")),
        }
    }

    fn set_mark(&mut self) -> Step<()> {
        /// The deepest nesting that is accepted; official files nest some 30 deep.
        const DEEPEST: usize = 1000;
        if self.marks.len() == DEEPEST {
            return Err(self.error(format!("nested more than {DEEPEST} deep: refused")));
        }
        self.marks.push(self.stack.len() as u32);
        Ok(())
    }

    fn mark(&mut self) -> Step<usize> {
        match self.marks.pop() {
            Some(base) => Ok(base as usize),
            None => Err(self.error("a mark is missing: damaged")),
        }
    }

    fn since_mark(&mut self) -> Step<Vec<Value>> {
        let base = self.mark()?;
        Ok(self.stack.split_off(base.min(self.stack.len())))
    }

    /// The node at the top of the stack.
    fn top(&self) -> Step<usize> {
        let base = self.marks.last().map_or(0, |&base| base as usize);
        match self.stack.get(base..).and_then(<[Value]>::last) {
            Some(&Value::Node(index)) => Ok(index as usize),
            _ => Err(self.error("an operation on nothing: damaged")),
        }
    }

    fn as_text(&self, value: Value) -> Option<Span> {
        let Value::Node(index) = value else {
            return None;
        };
        match self.pickle.nodes.get(index as usize) {
            Some(&Node::Text(span)) => Some(span),
            _ => None,
        }
    }

    // Operations on the value at the top of the stack.

    /// Pops the contents of a list or set, which are not kept.
    fn contents(&mut self, fits: impl Fn(&Node) -> bool) -> Step<()> {
        let node = self.top()?;
        match self.pickle.nodes.get(node) {
            Some(node) if fits(node) || matches!(node, Node::Object(_)) => Ok(()),
            _ => Err(self.error("contents for something that has none: damaged")),
        }
    }

    fn entries(&mut self, pairs: &[Value]) -> Step<()> {
        let node = self.top()?;
        if !pairs.len().is_multiple_of(2) {
            return Err(self.error("a key without a value: damaged"));
        }
        let mut chain = match self.pickle.nodes.get(node) {
            Some(&Node::Dict(chain)) => chain,
            Some(Node::Object(_)) => return Ok(()),
            _ => return Err(self.error("entries for something that has none: damaged")),
        };
        for pair in pairs.chunks_exact(2) {
            self.keep()?;
            let links = &mut self.pickle.links;
            let index = links.len() as u32;
            links.push(Link { key: pair[0], value: pair[1], next: NOTHING });
            match links.get_mut(chain.last as usize) {
                Some(last) => last.next = index,
                None => chain.first = index,
            }
            chain.last = index;
        }
        self.pickle.nodes[node] = Node::Dict(chain);
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let (Value::Node(arguments), Value::Node(callable)) = (arguments, callable) else {
            return Err(self.error("a call of something that is not a function: damaged"));
        };
        let nodes = &self.pickle.nodes;
        let found = (nodes.get(callable as usize), nodes.get(arguments as usize));
        let (callable, arguments) = match found {
            (Some(&Node::Global(index)), Some(&Node::Tuple(arguments))) => (index, arguments),
            // The callable is a method, or a function that another one has made.
            (Some(Node::Object(_)), Some(&Node::Tuple(arguments))) => (NOTHING, arguments),
            _ => return Err(self.error("a call of something that is not a function: damaged")),
        };
        match meaning(callable) {
            Global::Dict if arguments.range().is_empty() => self.node(Node::Dict(EMPTY)),
            Global::Set => self.node(Node::Set),
            _ => {
                self.keep()?;
                let index = self.pickle.objects.len() as u32;
                self.pickle.objects.push(Object { callable, arguments, state: Value::None });
                self.node(Node::Object(index))
            }
        }
    }

    // Operations on the memo.

    fn memorise(&mut self, index: usize) -> Step<()> {
        let Some(&top) = self.stack.last() else {
            return Err(self.error("nothing to remember: damaged"));
        };
        if index >= self.memo.len() {
            if index >= self.most {
                let problem = format!("memo {index}: more than a checkpoint of this size has");
                return Err(self.error(problem));
            }
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(top);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Step<()> {
        match self.memo.get(index) {
            Some(&Some(value)) => self.push(value),
            _ => Err(self.error(format!("memo {index} was never set: damaged"))),
        }
    }
}
