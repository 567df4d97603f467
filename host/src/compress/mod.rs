//! Compression: pruning, then distillation by the NICKEL & DiME iteration (`docs/method.md`).

pub mod adversarial;
pub mod bank;
pub mod baselines;
pub mod dime;
pub mod error;
pub mod imitation;
pub mod in_domain;
pub mod inputs;
pub mod iterate;
pub mod method;
pub mod mmd;
pub mod moments;
pub mod nickel;
pub mod optimise;
pub mod pipeline;
pub mod prune;
pub mod regularise;
pub mod settings;
mod start;
pub mod state;
pub mod trainer;
