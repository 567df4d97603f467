//! Bytes as hexadecimal text.

use core::fmt;

/// Shows bytes as lower-case hexadecimal digits, two a byte, as `sha256sum` prints a hash.
///
/// ```
/// assert_eq!(nickeldime_core::hex::Hex(&[0x0F, 0xA0]).to_string(), "0fa0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
