//! The house rules for imports: no circle between the files of a crate, and no arrow upward between rooms.
//!
//! The floors are written down once, in [`FLOORS`]. Tests inside a file (`#[cfg(test)]`) may look upward.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The floors, from the ground up; on each of them the rooms: a folder or a file (without `.rs`) below the repository. The
/// longest name that a file's path begins with is its room. A file may import from its own room and from lower floors.
const FLOORS: &[&[&str]] = &[
    // The core: scalar arithmetic, then kernels, the pack, the networks, the generator, and the device on top.
    &["core-nostd/src/hash", "core-nostd/src/hex", "core-nostd/src/number"],
    &["core-nostd/src/kernel"],
    &["core-nostd/src/latent"],
    &["core-nostd/src/sample"],
    &["core-nostd/src/pack"],
    &["core-nostd/src/dense"],
    &["core-nostd/src/mapping", "core-nostd/src/synthesis"],
    &["core-nostd/src/generator"],
    &["core-nostd/src/link"],
    &["core-nostd/src/storage"],
    &["core-nostd/src/device"],
    &["core-nostd/src/lib"],
    // The crates of which each can be used without the command.
    &["host/crates/nickeldime-boards"],
    &["host/crates/nickeldime-checkpoint/src/files", "host/crates/nickeldime-checkpoint/src/random"],
    &["host/crates/nickeldime-checkpoint/src/model"],
    &["host/crates/nickeldime-checkpoint/src", "host/crates/nickeldime-link"],
    // Other languages: what a call comes to, what is drawn and the board's callbacks, the calls.
    &["bindings/c/src/status"],
    &["bindings/c/src/model", "bindings/c/src/sample"],
    &["bindings/c/src/draw"],
    &["bindings/c/src/link"],
    &["bindings/c/src/device"],
    &["bindings/c/src/lib"],
    &["bindings/python/src/array", "bindings/python/src/error"],
    &["bindings/python/src/arguments"],
    &["bindings/python/src/walk"],
    &["bindings/python/src/pack"],
    &["bindings/python/src"],
    // The firmware, and the program that measures the engine.
    &["firmware/src", "firmware/measure"],
    // The host.
    &[
        "host/src/hash",
        "host/src/keys",
        "host/src/progress",
        "host/src/picture",
        "host/src/numpy_random",
        "host/src/backend",
        "host/src/data",
    ],
    &["host/src/nets", "host/src/quantise/moments"],
    // What activations are like is measured by the generator that draws, and used by the packer.
    &["host/src/embed", "host/src/quantise/calibrate"],
    &["host/src/draw"],
    &["host/src/quantise", "host/src/metrics"],
    &["host/src/boards"],
    &["host/src/emulate", "host/src/compress"],
    &["host/src/run"],
    &["host/src/report", "host/src/doctor"],
    &["host/src/cli"],
    &["host/src/lib", "host/src/main"],
];

/// Rust sources by path (`host/src/run.rs`), and the crates they belong to by the path of their `src`.
struct House {
    sources: BTreeMap<String, String>,
    /// The folder of sources, and the crate's name as `use` lines have it.
    crates: Vec<(String, String)>,
}

/// An import, from a file to a file.
type Arrow = (String, String);

impl House {
    /// The repository's crates.
    fn of_the_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut house = Self { sources: BTreeMap::new(), crates: Vec::new() };
        for (folder, name) in [
            ("core-nostd/src", "nickeldime_core"),
            ("host/crates/nickeldime-boards/src", "nickeldime_boards"),
            ("host/crates/nickeldime-checkpoint/src", "nickeldime_checkpoint"),
            ("host/crates/nickeldime-link/src", "nickeldime_link"),
            ("bindings/c/src", "nickeldime_c"),
            ("bindings/python/src", "nickeldime_python"),
            ("host/src", "nickeldime"),
            ("firmware/src", "nickeldime_firmware"),
            ("firmware/measure/src", "nickeldime_measure"),
        ] {
            house.crates.push((folder.to_owned(), name.to_owned()));
            let mut folders = vec![root.join(folder)];
            while let Some(at) = folders.pop() {
                for entry in fs::read_dir(&at).expect("the crate is there") {
                    let path = entry.expect("readable").path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|end| end == "rs") {
                        let name = path.strip_prefix(&root).expect("below it").to_str().expect("plain names");
                        house.sources.insert(name.replace('\\', "/"), fs::read_to_string(&path).expect("text"));
                    }
                }
            }
        }
        house
    }

    fn crate_of(&self, file: &str) -> &(String, String) {
        let found = self
            .crates
            .iter()
            .find(|(folder, _)| file.strip_prefix(&folder[..]).is_some_and(|rest| rest.starts_with('/')));
        found.unwrap_or_else(|| panic!("{file} belongs to no crate"))
    }

    /// The module that a file is: its names below the crate's root.
    fn module_of(&self, file: &str) -> Vec<String> {
        let (folder, _) = self.crate_of(file);
        let mut names: Vec<String> = file[folder.len() + 1..file.len() - 3].split('/').map(str::to_owned).collect();
        if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&last[..])) {
            names.pop();
        }
        names
    }

    /// The file of a module.
    fn file_of(&self, folder: &str, module: &[String]) -> Option<String> {
        let path = module.join("/");
        let candidates = match module {
            [] => vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")],
            _ => vec![format!("{folder}/{path}.rs"), format!("{folder}/{path}/mod.rs")],
        };
        candidates.into_iter().find(|file| self.sources.contains_key(file))
    }

    /// The file that a path in `file` names, or what that file re-exports under this name.
    fn target(&self, file: &str, path: &[String], depth: usize) -> Option<String> {
        let (folder, _) = self.crate_of(file);
        let own = self.module_of(file);
        let (first, rest) = path.split_first()?;
        let (folder, mut names) = match &first[..] {
            "crate" | "$crate" => (folder, Vec::new()),
            "self" => (folder, own),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let mut up = own;
                up.truncate(up.len().saturating_sub(ups));
                return self.below(folder, up, &path[ups..], depth);
            }
            name => match self.crates.iter().find(|(_, known)| known == name) {
                Some((folder, _)) => (folder, Vec::new()),
                None => {
                    // A child of this module, by its bare name.
                    let mut child = own;
                    child.push(first.clone());
                    self.file_of(folder, &child)?;
                    (folder, child)
                }
            },
        };
        self.below(folder, std::mem::take(&mut names), rest, depth)
    }

    fn below(&self, folder: &str, mut module: Vec<String>, names: &[String], depth: usize) -> Option<String> {
        let mut left = names;
        while let Some((name, rest)) = left.split_first() {
            let deeper = [&module[..], std::slice::from_ref(name)].concat();
            if self.file_of(folder, &deeper).is_none() {
                break;
            }
            (module, left) = (deeper, rest);
        }
        let file = self.file_of(folder, &module)?;
        // Something that this file re-exports lies where it comes from.
        if let (Some(name), true) = (left.first(), depth < 8) {
            for (public, path, alias) in imports(&self.sources[&file]) {
                if public
                    && alias.as_ref().or(path.last()) == Some(name)
                    && path.len() > 1
                    && let Some(from) = self.target(&file, &path, depth + 1)
                {
                    return Some(from);
                }
            }
        }
        Some(file)
    }

    /// Every import from one file to another, re-exports of a module's own children left out.
    fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        let hidden = self.test_files();
        for (file, source) in self.sources.iter().filter(|(file, _)| !hidden.contains(*file)) {
            let source = without_tests(source);
            let own = self.module_of(file);
            let folder = &self.crate_of(file).0;
            let child = |target: &str| {
                let there = self.module_of(target);
                &self.crate_of(target).0 == folder && there.len() > own.len() && there.starts_with(&own)
            };
            for (public, path, _) in imports(&source) {
                if let Some(target) = self.target(file, &path, 0).filter(|target| target != file)
                    && !(public && child(&target))
                {
                    arrows.insert((file.clone(), target));
                }
            }
            for path in paths(&source) {
                if let Some(target) = self.target(file, &path, 0).filter(|target| target != file) {
                    arrows.insert((file.clone(), target));
                }
            }
        }
        arrows
    }

    /// Files that are compiled for tests alone.
    fn test_files(&self) -> BTreeSet<String> {
        let mut hidden = BTreeSet::new();
        for (file, source) in &self.sources {
            let folder = &self.crate_of(file).0;
            let source = plain(source);
            for (at, _) in source.match_indices("#[cfg(test)]") {
                let rest = source[at + "#[cfg(test)]".len()..].trim_start();
                let rest = rest.strip_prefix("pub ").unwrap_or(rest);
                if let Some((name, _)) = rest.strip_prefix("mod ").and_then(|rest| rest.split_once(';')) {
                    let module = [self.module_of(file), vec![name.trim().to_owned()]].concat();
                    hidden.extend(self.file_of(folder, &module));
                }
            }
        }
        hidden
    }

    /// What is wrong with the house under `floors`.
    fn faults(&self, floors: &[&[&str]]) -> Vec<String> {
        let arrows = self.arrows();
        let mut faults = Vec::new();
        let room = |file: &str| {
            let rooms =
                floors.iter().enumerate().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (floor, *room)));
            let inside =
                |room: &str| file.strip_prefix(room).is_some_and(|rest| rest.starts_with('/') || rest == ".rs");
            rooms.filter(|(_, room)| inside(room)).max_by_key(|(_, room)| room.len())
        };
        faults.extend(
            self.sources.keys().filter(|file| room(file).is_none()).map(|file| format!("{file}: has no floor")),
        );
        for (from, to) in &arrows {
            if let (Some((high, here)), Some((low, there))) = (room(from), room(to))
                && here != there
                && low >= high
            {
                faults.push(format!("{from} imports {to}: {here} is on floor {high}, {there} on floor {low}"));
            }
        }
        faults.extend(circles(&arrows).into_iter().map(|files| format!("a circle of imports: {}", files.join(", "))));
        faults
    }
}

/// The groups of files that import one another.
fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Vec<String>> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for start in arrows.iter().map(|(from, _)| &from[..]) {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for (_, to) in arrows.iter().filter(|(from, _)| from == at) {
                if seen.insert(&to[..]) {
                    open.push(to);
                }
            }
        }
        reach.insert(start, seen);
    }
    let mut groups = BTreeSet::new();
    for (start, seen) in &reach {
        let back = |to: &&&str| reach.get(**to).is_some_and(|from| from.contains(start));
        let group: BTreeSet<String> = seen.iter().filter(back).map(|file| (*file).to_owned()).collect();
        if group.contains(*start) {
            groups.insert(group.into_iter().collect::<Vec<_>>());
        }
    }
    groups.into_iter().collect()
}

/// The source with comments and the insides of strings blanked out.
fn plain(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '/' if next == Some('*') => {
                at += 2;
                while at < chars.len() && !(chars[at] == '*' && chars.get(at + 1) == Some(&'/')) {
                    at += 1;
                }
                at += 2;
            }
            'r' if matches!(next, Some('"' | '#')) && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                if chars.get(at + 1 + hashes) != Some(&'"') {
                    out.push('r');
                    at += 1;
                    continue;
                }
                at += 2 + hashes;
                let ends = |at: usize| {
                    chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
                };
                while at < chars.len() && !ends(at) {
                    at += 1;
                }
                at += 1 + hashes;
            }
            '"' => {
                at += 1;
                while at < chars.len() && chars[at] != '"' {
                    at += if chars[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
            }
            // A character, not a lifetime.
            '\'' if next == Some('\\') => {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            }
            '\'' if chars.get(at + 2) == Some(&'\'') => at += 3,
            c => {
                out.push(c);
                at += 1;
            }
        }
    }
    out
}

/// The source without its modules for tests.
fn without_tests(source: &str) -> String {
    let mut source = plain(source);
    while let Some(start) = source.find("#[cfg(test)]") {
        let rest = &source[start..];
        let (body, end) = (rest.find('{'), rest.find(';'));
        let length = match (body, end) {
            (Some(body), end) if end.is_none_or(|end| body < end) => {
                let mut depth = 0;
                let close = rest[body..].char_indices().find(|(_, c)| {
                    depth += i32::from(*c == '{') - i32::from(*c == '}');
                    depth == 0
                });
                close.map_or(rest.len(), |(at, _)| body + at + 1)
            }
            (_, Some(end)) => end + 1,
            _ => rest.len(),
        };
        source.replace_range(start..start + length, "");
    }
    source
}

/// The imports of a source: whether each is a re-export, its path, and its other name if it has one.
fn imports(source: &str) -> Vec<(bool, Vec<String>, Option<String>)> {
    let source = plain(source);
    let mut found = Vec::new();
    for (at, _) in source.match_indices("use ") {
        let line = source[..at].rsplit('\n').next().unwrap_or_default().trim();
        if !(line.is_empty() || line == "pub" || line.starts_with("pub(") && line.ends_with(')')) {
            continue;
        }
        let Some((tree, _)) = source[at + 4..].split_once(';') else { continue };
        let mut leaves = Vec::new();
        branch(tree, &[], &mut leaves);
        found.extend(leaves.into_iter().map(|(path, alias)| (!line.is_empty(), path, alias)));
    }
    found
}

/// The leaves of a `use` tree.
fn branch(tree: &str, prefix: &[String], leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let names = |text: &str| {
            text.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect::<Vec<_>>()
        };
        if let Some((before, inside)) = part.split_once('{') {
            let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
            branch(inside, &[prefix, &names(before)].concat(), leaves);
        } else {
            let (path, alias) =
                part.split_once(" as ").map_or((part, None), |(path, alias)| (path, Some(alias.trim().to_owned())));
            let mut path = [prefix, &names(path)].concat();
            if path.len() > 1 && path.last().is_some_and(|last| last == "self" || last == "*") {
                path.pop();
            }
            leaves.push((path, alias));
        }
    }
}

/// Paths in the code, outside of `use`, that begin with `crate`, `super` or a crate of the workspace.
fn paths(source: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("::") {
        let before = &source[..at];
        let begin = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        let first = &before[begin..];
        if before[..begin].ends_with("::") || !(first == "crate" || first == "super" || first.starts_with("nickeldime"))
        {
            continue;
        }
        let rest = source[begin..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(0);
        let path = source[begin..begin + rest].split("::").map(str::to_owned).filter(|name| !name.is_empty());
        // A group, which `imports` reads, leaves its crate alone here.
        found.push(path.collect::<Vec<_>>());
    }
    found.retain(|path| path.len() > 1);
    found
}

#[test]
fn no_file_imports_in_a_circle_or_from_a_higher_floor() {
    let house = House::of_the_repository();
    assert!(house.arrows().len() > 500, "imports are found at all");
    let faults = house.faults(FLOORS);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A house of two floors, made up.
fn small(sources: &[(&str, &str)]) -> Vec<String> {
    let sources = sources.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect();
    let crates = vec![("a/src".to_owned(), "a".to_owned()), ("b/src".to_owned(), "b".to_owned())];
    House { sources, crates }.faults(&[&["a/src"], &["b/src/low"], &["b/src/high", "b/src/lib"]])
}

const SOUND: [(&str, &str); 6] = [
    ("a/src/lib.rs", "pub mod x;\npub use x::X;"),
    ("a/src/x.rs", "pub struct X;"),
    ("b/src/lib.rs", "pub mod high;\npub mod low;"),
    ("b/src/low/mod.rs", "pub mod one;\nmod two;\npub use two::Two;"),
    (
        "b/src/low/two.rs",
        "use super::one::One;\npub struct Two(One);\n#[cfg(test)]\nmod tests {\n    use crate::high::High;\n}",
    ),
    ("b/src/high.rs", "// use crate::high;\nuse a::X;\nuse crate::low::{Two, one::One};\npub struct High;"),
];

#[test]
fn a_sound_house_has_no_fault() {
    let one = ("b/src/low/one.rs", "use a::X;\npub struct One(X);");
    assert_eq!(small(&[&SOUND[..], &[one]].concat()), Vec::<String>::new());
}

#[test]
fn an_import_from_a_higher_floor_is_a_fault_however_it_is_written() {
    for import in [
        "use crate::high::High;",
        "use crate::{high::High};",
        "pub(crate) use super::super::high::High as Other;",
        "fn f() {\n    use crate::high;\n}",
        "fn f() -> crate::high::High { loop {} }",
    ] {
        let faults = small(&[&SOUND[..], &[("b/src/low/one.rs", import)]].concat());
        let upward = "b/src/low/one.rs imports b/src/high.rs: b/src/low is on floor 1, b/src/high on floor 2";
        assert!(faults.iter().any(|fault| fault == upward), "{import}: {faults:?}");
    }
    let faults = small(&[&SOUND[..], &[("b/src/low/one.rs", ""), ("a/src/y.rs", "use b::low::Two;")]].concat());
    assert_eq!(faults, ["a/src/y.rs imports b/src/low/two.rs: a/src is on floor 0, b/src/low on floor 1"]);
}

#[test]
fn a_circle_of_imports_is_a_fault_through_re_exports_too() {
    for import in ["use super::two::Two;", "use super::Two;", "use crate::low::Two;"] {
        let faults = small(&[&SOUND[..], &[("b/src/low/one.rs", import)]].concat());
        assert_eq!(faults, ["a circle of imports: b/src/low/one.rs, b/src/low/two.rs"], "{import}");
    }
}

#[test]
fn a_file_without_a_floor_is_a_fault() {
    let more = [("b/src/low/one.rs", "pub struct One;"), ("b/src/other.rs", "")];
    assert_eq!(small(&[&SOUND[..], &more].concat()), ["b/src/other.rs: has no floor"]);
}
