//! Reads a firmware's ELF file: the bytes for the flash, and the RAM that it takes.

use std::fs;
use std::path::Path;

use elf::ElfBytes;
use elf::abi::{PT_LOAD, SHF_ALLOC, SHF_WRITE};
use elf::endian::LittleEndian;
use elf::parse::ParseError;

use super::BoardError;

/// The flags of a section in RAM.
const SHF_RAM: u64 = (SHF_ALLOC | SHF_WRITE) as u64;

/// A program for a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The segments that are written to flash, by ascending address.
    pub segments: Vec<Segment>,
    /// Bytes of RAM that the program takes, without its stack.
    pub ram: u64,
    /// The names of its functions and statics.
    pub symbols: Vec<String>,
}

/// Bytes at an address of the flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The address of the first byte.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Program {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// [`BoardError::File`], [`BoardError::Elf`].
    pub fn read(path: &Path) -> Result<Self, BoardError> {
        let bytes = fs::read(path).map_err(|cause| BoardError::File { path: path.to_owned(), cause })?;
        Self::parse(&bytes).map_err(|error| BoardError::Elf { path: path.to_owned(), what: error.to_string() })
    }

    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes)?;
        let mut segments = Vec::new();
        for segment in file.segments().into_iter().flatten().filter(|segment| segment.p_type == PT_LOAD) {
            let data = file.segment_data(&segment)?;
            let address = u32::try_from(segment.p_paddr)?;
            if !data.is_empty() {
                segments.push(Segment { address, bytes: data.to_vec() });
            }
        }
        segments.sort_by_key(|segment| segment.address);
        let (sections, names) = file.section_headers_with_strtab()?;
        let mut ram = 0;
        if let (Some(sections), Some(names)) = (sections, names) {
            for section in sections.iter().filter(|section| section.sh_flags & SHF_RAM == SHF_RAM) {
                // RISC-V's runtime declares the remaining RAM as sections.
                let rest = [".stack", ".heap"].contains(&names.get(section.sh_name as usize)?);
                ram += if rest { 0 } else { section.sh_size };
            }
        }
        let mut symbols = Vec::new();
        if let Some((table, names)) = file.symbol_table()? {
            let named = |symbol: elf::symbol::Symbol| names.get(symbol.st_name as usize).map(str::to_owned);
            symbols = table.iter().map(named).collect::<Result<_, _>>()?;
        }
        Ok(Self { segments, ram, symbols })
    }

    /// Bytes of flash: code, constants, and the initial values of statics.
    pub fn flash(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes.len() as u64).sum()
    }
}
