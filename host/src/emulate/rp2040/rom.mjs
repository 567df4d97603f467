// A boot ROM for the emulated RP2040, with the functions that nickeldime's firmware calls. The ROM of the chip is not in the
// emulator's package. Each function here is a breakpoint, and what it does is done in JavaScript; what the chip would not
// forgive is an error.

const SECTOR = 4096;
const PAGE = 256;
const FLASH = 0x10000000;
const SRAM = 0x20000000;
const DPRAM = 0x50100000;
/** Where the ROM copies the second stage to. */
const SECOND_STAGE = 0x20041f00;
/** Addresses in the ROM. */
const TABLE = 0x100;
const CODE = 0x300;
const BREAKPOINT = 0xbe00;
const RETURN = 0x4770;
/** The controller of the flash, and its register that starts it. */
const SSI = 0x18000;
const SSIENR = 0x08;

/** What a program must not do to its flash. */
export class FlashError extends Error {}

/** The ROM's functions by their codes; the first, which looks the others up, has none. */
const FUNCTIONS = [
  ['', (rom, [table, code]) => rom.find(table, code)],
  ['MC', (rom, [to, from, length]) => rom.copy(to, from, length)],
  ['C4', (rom, [to, from, length]) => rom.copy(to, from, length)],
  ['MS', (rom, [to, value, length]) => rom.fill(to, value, length)],
  ['S4', (rom, [to, value, length]) => rom.fill(to, value, length)],
  ['L3', (rom, [value]) => Math.clz32(value)],
  ['P3', (rom, [value]) => value.toString(2).replaceAll('0', '').length],
  ['IF', (rom) => rom.connect()],
  ['EX', (rom) => rom.exitXip()],
  ['RE', (rom, [at, length]) => rom.erase(at, length)],
  ['RP', (rom, [at, from, length]) => rom.program(at, from, length)],
  ['FC', () => undefined],
];

export class FlashRom {
  constructor(chip) {
    this.chip = chip;
    this.connected = false;
    this.readable = true;
    this.install();
    chip.onBreak = (number) => this.call(number);
    const ssi = chip.peripherals[SSI];
    const write = ssi.writeUint32.bind(ssi);
    // The second stage ends with it: the flash appears in memory again.
    ssi.writeUint32 = (offset, value) => {
      write(offset, value);
      if (offset === SSIENR && value === 1) this.readable = true;
    };
  }

  install() {
    const rom = new DataView(new ArrayBuffer(this.chip.bootrom.length * 4));
    // "Mu", the ROM's mark and version, then the tables of functions and data and the function that looks them up.
    rom.setUint32(0x10, 0x0201754d, true);
    rom.setUint16(0x14, TABLE, true);
    rom.setUint16(0x16, TABLE + 4 * FUNCTIONS.length, true);
    rom.setUint16(0x18, CODE | 1, true);
    FUNCTIONS.forEach(([code], number) => {
      if (number > 0) {
        rom.setUint16(TABLE + 4 * (number - 1), code.charCodeAt(0) | (code.charCodeAt(1) << 8), true);
        rom.setUint16(TABLE + 4 * (number - 1) + 2, (CODE + 4 * number) | 1, true);
      }
      rom.setUint16(CODE + 4 * number, BREAKPOINT | number, true);
      rom.setUint16(CODE + 4 * number + 2, RETURN, true);
    });
    this.chip.loadBootrom(new Uint32Array(rom.buffer));
  }

  /** Starts the program in the flash as the ROM does: checks the second stage, copies it to RAM and jumps there. */
  boot() {
    const { core, flash, flashView, sram } = this.chip;
    let sum = 0xffffffff;
    for (const byte of flash.subarray(0, PAGE - 4)) {
      sum ^= byte << 24;
      for (let bit = 0; bit < 8; bit++) sum = sum & 0x80000000 ? (sum << 1) ^ 0x04c11db7 : sum << 1;
    }
    if (sum >>> 0 !== flashView.getUint32(PAGE - 4, true)) throw new FlashError('the flash does not begin with a second stage');
    sram.set(flash.subarray(0, PAGE), SECOND_STAGE - SRAM);
    core.SP = SECOND_STAGE;
    core.LR = 0;
    core.PC = SECOND_STAGE;
  }

  /** Refuses a program that runs from the flash while it cannot be read. */
  check() {
    if (!this.readable && this.chip.core.PC >>> 28 === FLASH >>> 28) {
      throw new FlashError(`the program reads its flash at ${this.chip.core.PC.toString(16)} while that is being changed`);
    }
  }

  call(number) {
    const { core } = this.chip;
    const known = FUNCTIONS[number];
    if (!known || core.PC >= 0x4000) throw new FlashError(`a breakpoint at ${core.PC.toString(16)}`);
    const result = known[1](this, core.registers);
    if (result !== undefined) core.registers[0] = result;
  }

  find(table, code) {
    for (let at = table; this.chip.readUint16(at) !== 0; at += 4) {
      if (this.chip.readUint16(at) === code) return this.chip.readUint16(at + 2);
    }
    return 0;
  }

  /** The memory that has an address, from there on. */
  memory(address, length) {
    for (const [start, bytes] of [[FLASH, this.chip.flash], [SRAM, this.chip.sram], [DPRAM, this.chip.usbDPRAM]]) {
      const at = address - start;
      if (at >= 0 && at + length <= bytes.length && (start !== FLASH || this.readable)) return bytes.subarray(at, at + length);
    }
    throw new FlashError(`no memory at ${address.toString(16)}, ${length} bytes`);
  }

  copy(to, from, length) {
    // The address of nothing may be anything.
    if (length > 0) this.memory(to, length).set(this.memory(from, length));
  }

  fill(to, value, length) {
    if (to >= SRAM && to < SRAM + this.chip.sram.length) {
      this.memory(to, length).fill(value);
    } else {
      // Registers: the HAL clears those of the USB controller so.
      for (let at = 0; at < length; at += 4) this.chip.writeUint32(to + at, (value & 0xff) * 0x01010101);
    }
  }

  connect() {
    this.connected = true;
  }

  exitXip() {
    if (!this.connected) throw new FlashError('the flash is not connected');
    this.readable = false;
  }

  /** The part of the flash that is about to be changed. */
  changed(at, length, unit) {
    if (this.readable) throw new FlashError('the flash is changed while it is being read');
    if (at % unit !== 0 || length % unit !== 0 || at + length > 2 << 20) {
      throw new FlashError(`the flash cannot be changed at ${at}, ${length} bytes`);
    }
    return this.chip.flash.subarray(at, at + length);
  }

  erase(at, length) {
    this.changed(at, length, SECTOR).fill(0xff);
  }

  program(at, from, length) {
    const bytes = this.memory(from, length);
    // Writing only clears bits.
    this.changed(at, length, PAGE).forEach((byte, i, flash) => {
      flash[i] = byte & bytes[i];
    });
  }
}
