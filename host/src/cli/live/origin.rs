//! Where `live` has its images made: on a board, or by the integer engine in this process.

use std::{ops::ControlFlow, path::Path, time::Duration};

use anyhow::bail;
use nickeldime_core::{
    generator::{GenerateError, Sample, generate},
    pack::{NoiseKind, Pack},
};
use nickeldime_link::{Client, LinkError};

use crate::cli::model::ModelFile;

/// What draws the images of a walk.
pub enum Origin {
    /// A board, with the model that it has loaded.
    Board(Box<Client>),
    /// This process, with a pack that was verified, and its workspace.
    Here(Vec<u8>, Vec<i32>),
}

/// What a walk has to know about a model.
pub struct Shown {
    /// The model's name.
    pub name: String,
    /// Height and width of its images.
    pub resolution: usize,
    /// Its default noise.
    pub noise: NoiseKind,
}

impl Origin {
    /// Opens a board.
    ///
    /// # Errors
    /// There is no board at this port, or it has no model.
    pub fn board(port: &str) -> anyhow::Result<(Self, Shown)> {
        let client = Client::open(port)?;
        let Some(model) = client.board().model.clone() else {
            bail!("the board has no model yet: `nickeldime send PACK --port {port}` gives it one");
        };
        let shown =
            Shown { name: model.name.to_string(), resolution: usize::from(model.resolution), noise: model.noise };
        Ok((Self::Board(Box::new(client)), shown))
    }

    /// Opens a pack.
    ///
    /// # Errors
    /// The file is no pack, or a damaged one.
    pub fn here(path: &Path) -> anyhow::Result<(Self, Shown)> {
        let ModelFile::Pack(bytes) = ModelFile::open(path)? else {
            let shown = path.display();
            bail!("{shown}: is a checkpoint; `nickeldime pack {shown} -o model.ndm` makes a pack of it");
        };
        let pack = Pack::open(&bytes)?;
        let shown = Shown { name: pack.name().into(), resolution: pack.resolution(), noise: pack.noise_default() };
        let workspace = vec![0; pack.workspace_len()];
        Ok((Self::Here(bytes, workspace), shown))
    }

    /// Makes an image, row by row. Returns false if `row` stopped it.
    ///
    /// # Errors
    /// The board or its line failed, or the engine refused the sample.
    pub fn sample(
        &mut self,
        sample: &Sample<'_>,
        row: &mut dyn FnMut(usize, &[u8]) -> ControlFlow<()>,
    ) -> anyhow::Result<bool> {
        match self {
            Self::Board(client) => match client.sample(sample, row) {
                Ok(_) => Ok(true),
                Err(error) if error.link() == Some(&LinkError::Stopped) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Self::Here(bytes, workspace) => match generate(&Pack::open(bytes)?, sample, workspace, row) {
                Ok(()) => Ok(true),
                Err(GenerateError::Stopped) => Ok(false),
                Err(error) => bail!("{error}"),
            },
        }
    }

    /// The least time from one image to the next: a computer makes small images faster than eyes can follow.
    pub fn pause(&self) -> Duration {
        match self {
            Self::Board(_) => Duration::ZERO,
            Self::Here(..) => Duration::from_millis(40),
        }
    }
}
