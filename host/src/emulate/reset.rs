//! The reset button of a virtual board.

use std::fmt;
use std::sync::Arc;

/// Resets a virtual board: the content of its RAM is lost, the content of its flash stays.
#[derive(Clone)]
pub struct ResetButton(Arc<dyn Fn() + Send + Sync>);

impl ResetButton {
    /// A button that calls `press`, which must do nothing when the board has ended.
    pub(super) fn new(press: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(press))
    }

    /// Presses the button. Nothing happens when the board has ended.
    pub fn press(&self) {
        (self.0)();
    }
}

impl fmt::Debug for ResetButton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetButton")
    }
}
