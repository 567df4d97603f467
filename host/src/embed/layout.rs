//! Which tensors a network's file must have, and under which names.

use nickeldime_checkpoint::{
    Choice,
    model::arch::{ArchError, Shapes},
};
use std::collections::BTreeMap;

/// The tensors of one kind of network, as files of it name them.
pub struct Layout {
    /// The network, for errors.
    pub network: &'static str,
    /// Which file that is, for errors.
    pub file: &'static str,
    /// A tensor that files of this kind have once: what stands in front of it stands in front of all.
    pub marker: &'static str,
    /// What is read, and its shapes.
    pub tensors: Shapes,
    /// Tensors that tell this network from its likes: they must have these shapes, and are not read.
    pub witnesses: Shapes,
    /// Tensors that only other networks have, and what a file with one is.
    pub foreign: &'static [(&'static str, &'static str)],
    /// Below these names there are no other tensors than those above: a deeper network has more.
    pub closed: &'static [&'static str],
}

impl Layout {
    /// The tensors to read out of a file that has `shapes`.
    ///
    /// # Errors
    /// A file of another network: the tensor that says so.
    pub fn choose(&self, shapes: &Shapes) -> Result<Choice, ArchError> {
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

    /// What stands in front of every tensor's name (`""`, `visual.`, `teacher.backbone.`).
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
