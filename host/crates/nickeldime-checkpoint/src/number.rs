//! The number formats of tensor files, and their conversion to `f32`.

/// A little-endian number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// Size of one number in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::U8 | Self::I8 | Self::Bool => 1,
        }
    }

    /// Reads one number from `bytes`, which has [`DType::size`] bytes; 0 if it has not.
    pub fn read(self, bytes: &[u8]) -> f32 {
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().unwrap_or([0; N])
        }
        match self {
            Self::F64 => f64::from_le_bytes(array(bytes)) as f32,
            Self::F32 => f32::from_le_bytes(array(bytes)),
            Self::F16 => half(u16::from_le_bytes(array(bytes))),
            Self::BF16 => f32::from_bits(u32::from(u16::from_le_bytes(array(bytes))) << 16),
            Self::I64 => i64::from_le_bytes(array(bytes)) as f32,
            Self::I32 => i32::from_le_bytes(array(bytes)) as f32,
            Self::I16 => f32::from(i16::from_le_bytes(array(bytes))),
            Self::I8 => f32::from(i8::from_le_bytes(array(bytes))),
            Self::U8 => f32::from(u8::from_le_bytes(array(bytes))),
            Self::Bool => f32::from(u8::from(array(bytes) != [0u8])),
        }
    }

    /// Every number of `bytes`, in order.
    pub fn read_all(self, bytes: &[u8]) -> Vec<f32> {
        let numbers = bytes.chunks_exact(self.size());
        numbers.map(|number| self.read(number)).collect()
    }
}

/// Converts IEEE 754 binary16, which is exact in `f32`.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction as f32 / (1 << 24) as f32,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn every_format_reads_its_own_bytes() {
        assert_eq!(DType::F64.read_all(&0.5f64.to_le_bytes()), [0.5]);
        assert_eq!(DType::F32.read_all(&(-3.25f32).to_le_bytes()), [-3.25]);
        assert_eq!(DType::BF16.read_all(&[0x80, 0x3f, 0, 0xc0]), [1.0, -2.0]);
        assert_eq!(DType::I64.read_all(&(-7i64).to_le_bytes()), [-7.0]);
        assert_eq!(DType::I32.read_all(&9i32.to_le_bytes()), [9.0]);
        assert_eq!(DType::I16.read_all(&(-9i16).to_le_bytes()), [-9.0]);
        assert_eq!(DType::I8.read_all(&[0xff, 1]), [-1.0, 1.0]);
        assert_eq!(DType::U8.read_all(&[0, 255]), [0.0, 255.0]);
        assert_eq!(DType::Bool.read_all(&[0, 1]), [0.0, 1.0]);
    }
}
