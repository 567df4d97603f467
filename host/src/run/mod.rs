//! A run's folder, whose file names only this module knows, and the loop that fills it.
//!
//! ```text
//! run.json             the run's configuration: settings, inputs, hashes
//! log.jsonl            one line for each iteration: losses and mean logits
//! eval.jsonl           one line for each evaluation
//! student.safetensors  the newest student
//! students/NNNNNNNNN.safetensors   the students by images seen
//! grids/teacher.png, grids/NNNNNNNNN.png   the same latents over time
//! embedder.safetensors the run's own embedder, where none was given
//! moments.safetensors  the teacher's global moments
//! bank/                the teacher's features, for --mmd rbf and poly
//! state                the state that `--resume` continues from
//! ```

pub mod drive;
pub mod error;
pub mod evals;
pub mod folder;
pub mod layout;
pub mod log;
pub mod record;
pub mod summary;

pub use drive::{Trained, TrainingError, drive};
pub use error::RunError;
pub use evals::EvalLine;
pub use folder::RunFolder;
pub use layout::{is_run, student_of};
pub use log::{LogLine, LoggedIteration, LoggedLogits};
pub use record::Record;
pub use summary::{Embedding, RunSummary};
