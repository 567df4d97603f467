//! The tensors that a network's file must have, and their names.

use nickeldime_checkpoint::{
    TensorSelection,
    model::arch::{ArchError, Shapes},
};
use std::collections::BTreeMap;

/// The tensors of one kind of network, as its files name them.
pub struct Layout {
    /// The name of the network, for errors.
    pub network: &'static str,
    /// A description of the file that is expected, for errors.
    pub file: &'static str,
    /// A tensor that every such file has exactly once. The prefix found before it is assumed for all tensors.
    pub marker: &'static str,
    /// The tensors that are read, with their shapes.
    pub tensors: Shapes,
    /// Tensors that distinguish this network from similar ones. They must have these shapes and are not read.
    pub witnesses: Shapes,
    /// Tensors that only other networks have, each with the name of that network.
    pub foreign: &'static [(&'static str, &'static str)],
    /// Names below which the file must have no further tensors; a deeper network would have more.
    pub closed: &'static [&'static str],
}

impl Layout {
    /// The names of the tensors to read from a file with these `shapes`.
    ///
    /// # Errors
    /// The file holds another network; the error names the tensor that shows it.
    pub fn choose(&self, shapes: &Shapes) -> Result<TensorSelection, ArchError> {
        let prefix = self.prefix(shapes)?;
        let full = |own: &str| format!("{prefix}{own}");
        for (name, what) in self.foreign {
            if shapes.contains_key(&full(name)) {
                return Err(self.error(full(name), format!("no tensor of {}: the file is {what}", self.network)));
            }
        }
        for (own, expected) in self.witnesses.iter().chain(&self.tensors) {
            let found = shapes.get(&full(own)).ok_or_else(|| self.error(full(own), "missing".into()))?;
            if found != expected {
                let problem = format!("shape {found:?}, {} has {expected:?}", self.network);
                return Err(self.error(full(own), problem));
            }
        }
        let counts_batches = |own: &str| own.ends_with(".num_batches_tracked");
        for own in shapes.keys().filter_map(|name| name.strip_prefix(&prefix[..])) {
            let closed = self.closed.iter().any(|part| own.starts_with(part));
            if closed && !self.tensors.contains_key(own) && !counts_batches(own) {
                let problem = format!("{} has no such tensor: a network of another depth or kind", self.network);
                return Err(self.error(full(own), problem));
            }
        }
        Ok(self.tensors.keys().map(|own| (own.clone(), full(own))).collect::<BTreeMap<_, _>>())
    }

    /// The prefix of every tensor's name (`""`, `visual.`, `teacher.backbone.`).
    fn prefix(&self, shapes: &Shapes) -> Result<String, ArchError> {
        if shapes.contains_key(self.marker) {
            return Ok(String::new());
        }
        let before = |name: &String| {
            let prefix = name.strip_suffix(self.marker)?;
            (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_string())
        };
        let all: Vec<String> = shapes.keys().filter_map(before).collect();
        // Self-distillation leaves two networks; the teacher is the one that its authors evaluate.
        let mut teachers = all.iter().filter(|prefix| prefix.contains("teacher"));
        match (&all[..], teachers.next(), teachers.next()) {
            ([one], ..) | ([_, _, ..], Some(one), None) => Ok(one.clone()),
            ([], ..) => Err(self.error(self.marker.into(), "missing".into())),
            ([one, another, ..], ..) => {
                let problem = format!("more than one network: below {one:?} and below {another:?}");
                Err(self.error(self.marker.into(), problem))
            }
        }
    }

    fn error(&self, place: String, problem: String) -> ArchError {
        ArchError { place, problem: format!("{problem}; expected {} as in {}", self.network, self.file) }
    }
}
