// A Raspberry Pi Pico with a firmware of its own, and the computer that its USB cable goes to. Usage: node board.mjs FIRMWARE.uf2
//
// What is written to the board's serial port comes in by standard input, what the board says goes out by standard output.
// "enumerated" on standard error says that the computer has found the serial port. SIGUSR2 presses the reset button. The end of
// standard input ends the program.

import fs from 'node:fs';
import { ConsoleLogger, LogLevel, RP2040, USBCDC } from 'rp2040js';
import { FlashError, FlashRom } from './rom.mjs';

/** Nanoseconds of a cycle at 125 MHz. */
const CYCLE = 8;
/** Instructions between two looks at the time. */
const BATCH = 1000;
/** Milliseconds that the processor runs before input is looked for. */
const TURN = 4;
/** An alarm that comes so soon, in nanoseconds, is not waited for in real time. */
const SOON = 1e6;
/** Bytes on their way to the board, above which standard input is not read. */
const QUEUE = 1 << 16;
const WATCHDOG = 0x40058;
/** A program has the port open: SET_CONTROL_LINE_STATE, for a class's interface, DTR and RTS. */
const SET_LINES = Uint8Array.of(0x21, 0x22, 3, 0, 0, 0, 0, 0);

/** Bytes for the board that it has not taken. */
const queue = [];
let board;
let restart = false;
let sleep = null;

/** The flash of a new board with the program of a UF2 file in it. */
function flashed(path) {
  const file = fs.readFileSync(path);
  const flash = new Uint8Array(2 << 20).fill(0xff);
  for (let at = 0; at < file.length; at += 512) {
    const [start, , , address, length, , , family] = new Uint32Array(file.buffer.slice(file.byteOffset + at, file.byteOffset + at + 32));
    if (start !== 0x0a324655 || family !== 0xe48bff56) throw new FlashError(`${path}: no UF2 file for an RP2040`);
    flash.set(file.subarray(at + 32, at + 32 + length), address - 0x10000000);
  }
  return flash;
}

/** The chip after power-on, or after a reset of the chip that `before` was. */
function start(flash, before) {
  const chip = new RP2040();
  chip.logger = new ConsoleLogger(LogLevel.Error, true);
  const rom = new FlashRom(chip);
  chip.flash.set(flash);
  const watchdog = chip.peripherals[WATCHDOG];
  watchdog.onWatchdogTrigger = () => {
    restart = true;
    // A watchdog that nobody stops would bite again in the same nanosecond.
    watchdog.timer.enable = false;
    watchdog.alarm.enable = false;
  };
  if (before) {
    chip.sram.set(before.chip.sram);
    if (before.restarted) watchdog.scratchData.set(before.chip.peripherals[WATCHDOG].scratchData);
  }
  const usb = chip.usbCtrl;
  const cdc = new USBCDC(usb);
  const made = { chip, rom, usb, cdc, wanted: new Map(), restarted: false };
  // A read that the board asks for is kept until there are bytes for it.
  usb.onEndpointRead = (endpoint, size) => {
    made.wanted.set(endpoint, size);
    give();
  };
  // The package asks the device; a serial port's lines belong to its first interface.
  cdc.cdcSetControlLineState = () => {
    usb.sendSetupPacket(SET_LINES);
    cdc.initialized = true;
  };
  cdc.onSerialData = (bytes) => process.stdout.write(bytes);
  cdc.onDeviceConnected = () => process.stderr.write('enumerated\n');
  rom.boot();
  return made;
}

/** Gives the board what it wants to read. */
function give() {
  const { cdc, usb, wanted } = board;
  const size = wanted.get(cdc.outEndpoint);
  if (size === undefined || queue.length === 0 || !cdc.initialized) return;
  wanted.delete(cdc.outEndpoint);
  usb.endpointReadDone(cdc.outEndpoint, Uint8Array.from(queue.splice(0, size)));
  if (queue.length < QUEUE) process.stdin.resume();
}

/** Runs the processor until it sleeps or its turn ends. */
function run() {
  const end = performance.now() + TURN;
  do {
    if (restart) {
      restart = false;
      board.restarted = true;
      board = start(board.chip.flash.subarray(0, 2 << 20), board);
    }
    const { chip, rom } = board;
    const { core, clock } = chip;
    for (let i = 0; i < BATCH && !restart; i++) {
      if (core.waiting) {
        if (core.checkForInterrupts()) {
          core.waiting = false;
        } else if (clock.nanosToNextAlarm <= SOON) {
          clock.tick(clock.nanosToNextAlarm);
          continue;
        } else {
          doze();
          return;
        }
      }
      rom.check();
      clock.tick(core.executeInstruction() * CYCLE);
    }
  } while (performance.now() < end);
  setImmediate(run);
}

/** Lets real time pass until the board's next alarm, or until input arrives. */
function doze() {
  const since = performance.now();
  const wake = () => {
    clearTimeout(timer);
    sleep = null;
    const { clock } = board.chip;
    clock.tick(Math.min((performance.now() - since) * 1e6, clock.nanosToNextAlarm));
    run();
  };
  const timer = setTimeout(wake, board.chip.clock.nanosToNextAlarm / 1e6);
  sleep = wake;
}

process.stdin.on('data', (bytes) => {
  for (const byte of bytes) queue.push(byte);
  if (queue.length >= QUEUE) process.stdin.pause();
  give();
  sleep?.();
});
process.stdin.on('end', () => process.exit(0));
process.on('SIGUSR2', () => {
  board = start(board.chip.flash.subarray(0, 2 << 20), board);
  sleep?.();
});
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error instanceof FlashError ? error.message : error.stack}\n`);
  process.exit(1);
});

board = start(flashed(process.argv[2]), null);
run();
