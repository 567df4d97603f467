//! Writes UF2, the file format that a boot loader's USB volume accepts: blocks of 512 bytes, each with 256 bytes of
//! flash and their address. <https://github.com/microsoft/uf2>

use super::elf::Segment;

/// Length of a block in bytes.
pub const BLOCK: usize = 512;
/// Bytes of flash in a block.
pub const PAYLOAD: usize = 256;
/// Flash is erased in pieces of this many bytes. Whole pieces are written, so that no old bytes remain between new ones.
const SECTOR: u32 = 4096;

const MAGIC: [u32; 2] = [0x0A32_4655, 0x9E5D_5157];
const MAGIC_END: u32 = 0x0AB1_6F30;
const HAS_FAMILY: u32 = 0x2000;
/// The value of an erased byte of flash.
const EMPTY: u8 = 0xFF;

/// A program as a UF2 file for a family of chips.
pub fn write(segments: &[Segment], family: u32) -> Vec<u8> {
    let pages = pages(segments);
    let mut file = Vec::with_capacity(pages.len() * BLOCK);
    let count = pages.len() as u32;
    for (index, (address, bytes)) in (0..).zip(pages) {
        let start = file.len();
        for word in [MAGIC[0], MAGIC[1], HAS_FAMILY, address, PAYLOAD as u32, index, count, family] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
        file.resize(start + BLOCK - 4, 0);
        file.extend(MAGIC_END.to_le_bytes());
    }
    file
}

/// Splits whole sectors into pages, with their addresses.
fn pages(segments: &[Segment]) -> Vec<(u32, [u8; PAYLOAD])> {
    let mut pages = std::collections::BTreeMap::new();
    for Segment { address, bytes } in segments {
        let first = address / SECTOR * SECTOR;
        let end = (address + bytes.len() as u32).next_multiple_of(SECTOR);
        for page in (first..end).step_by(PAYLOAD) {
            pages.entry(page).or_insert([EMPTY; PAYLOAD]);
        }
        for (at, &byte) in (*address..).zip(bytes) {
            let offset = at % PAYLOAD as u32;
            pages.entry(at - offset).or_insert([EMPTY; PAYLOAD])[offset as usize] = byte;
        }
    }
    pages.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use nickeldime_boards::RP2350_ARM;

    use super::*;

    fn word(block: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"))
    }

    #[test]
    fn blocks_carry_the_family_the_addresses_and_the_bytes() {
        let segments = [
            Segment { address: 0x1000_0010, bytes: (0..=255).cycle().take(700).collect() },
            Segment { address: 0x1000_02CC, bytes: vec![7; 9] },
            Segment { address: 0x1000_3FFF, bytes: vec![1, 2] },
        ];
        let file = write(&segments, RP2350_ARM);
        let blocks: Vec<&[u8]> = file.chunks(BLOCK).collect();
        // One sector, and two that the last segment touches.
        assert_eq!(blocks.len(), 3 * 4096 / 256);
        let mut flash = std::collections::BTreeMap::new();
        for (index, block) in blocks.iter().enumerate() {
            assert_eq!([word(block, 0), word(block, 4), word(block, 508)], [0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30]);
            assert_eq!([word(block, 8), word(block, 16), word(block, 28)], [0x2000, 256, 0xE48B_FF59]);
            assert_eq!([word(block, 20), word(block, 24)], [index as u32, blocks.len() as u32]);
            assert!(word(block, 12).is_multiple_of(256) && block[288..508].iter().all(|&byte| byte == 0));
            for (at, &byte) in (word(block, 12)..).zip(&block[32..288]) {
                assert!(flash.insert(at, byte).is_none(), "no byte twice");
            }
        }
        for (at, byte) in segments.iter().flat_map(|s| (s.address..).zip(&s.bytes)) {
            assert_eq!(flash.remove(&at), Some(*byte));
        }
        assert!(flash.values().all(|&byte| byte == 0xFF), "nothing else");
        assert_eq!(flash.keys().next(), Some(&0x1000_0000));
    }
}
