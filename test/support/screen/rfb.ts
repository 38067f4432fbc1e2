import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { within } from "../wait.ts";

const ANSWER_MS = 30_000;

/** A screen as a viewer sees it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Four bytes each, rows from the top: blue, green, red, unused. */
  readonly pixels: Buffer;
}

/** A viewer of RFB (RFC 6143) over any stream of bytes: the handshake, and one picture as raw pixels. */
export class RfbViewer {
  readonly #stream: Duplex;
  #unread = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #size = { width: 0, height: 0 };

  constructor(stream: Duplex) {
    this.#stream = stream;
    for (const event of ["readable", "end", "close"]) stream.on(event, () => this.#wake());
    stream.on("error", () => undefined);
  }

  /** Resolves with the name of the desktop. */
  async greet(): Promise<string> {
    assert.match((await this.#read(12)).toString(), /^RFB 003\.00[378]\n$/);
    this.#stream.write("RFB 003.008\n");
    const kinds = await this.#read((await this.#read(1)).readUInt8());
    assert.ok(kinds.includes(1), `the screen wants a password: ${kinds.toString("hex")}`);
    this.#stream.write(Buffer.of(1));
    assert.equal((await this.#read(4)).readUInt32BE(), 0, "accepted");
    this.#stream.write(Buffer.of(1)); // shared
    const init = await this.#read(24);
    this.#size = { width: init.readUInt16BE(0), height: init.readUInt16BE(2) };
    assert.equal(init.readUInt8(4), 32, "bits of a pixel");
    return (await this.#read(init.readUInt32BE(20))).toString();
  }

  /** The whole screen as it is now. */
  async look(): Promise<Picture> {
    const { width, height } = this.#size;
    const ask = Buffer.alloc(8 + 10);
    ask.writeUInt8(2, 0); // SetEncodings: raw alone
    ask.writeUInt16BE(1, 2);
    ask.writeUInt8(3, 8); // FramebufferUpdateRequest
    ask.writeUInt16BE(width, 14);
    ask.writeUInt16BE(height, 16);
    this.#stream.write(ask);
    const pixels = Buffer.alloc(width * height * 4);
    const head = await this.#read(4);
    assert.equal(head.readUInt8(0), 0, "an update of the framebuffer");
    for (let left = head.readUInt16BE(2); left > 0; left -= 1) {
      const area = await this.#read(12);
      const [x = 0, y = 0, w = 0, h = 0] = [0, 2, 4, 6].map((at) => area.readUInt16BE(at));
      assert.equal(area.readInt32BE(8), 0, "raw pixels");
      for (let row = 0; row < h; row += 1)
        (await this.#read(w * 4)).copy(pixels, ((y + row) * width + x) * 4);
    }
    return { width, height, pixels };
  }

  /** Resolves once the screen has ended. */
  async ended(): Promise<void> {
    while (!this.#stream.readableEnded && !this.#stream.destroyed)
      if (this.#stream.read() === null) await this.#more("the end of the screen");
  }

  async #more(what: string): Promise<void> {
    await within(new Promise<void>((resolve) => (this.#wake = resolve)), ANSWER_MS, what);
  }

  async #read(bytes: number): Promise<Buffer> {
    while (this.#unread.length < bytes) {
      const piece = this.#stream.read() as Buffer | null;
      if (piece !== null) this.#unread = Buffer.concat([this.#unread, piece]);
      else if (this.#stream.readableEnded || this.#stream.destroyed)
        throw new Error(`the screen ended; ${this.#unread.length} of ${bytes} bytes came`);
      else await this.#more("an answer of the screen");
    }
    const read = this.#unread.subarray(0, bytes);
    this.#unread = this.#unread.subarray(bytes);
    return read;
  }
}

/** How many pixels are not black. */
export function litPixels({ pixels }: Picture): number {
  let lit = 0;
  for (let at = 0; at < pixels.length; at += 4) if (pixels.readUInt32LE(at) << 8 !== 0) lit += 1;
  return lit;
}

/** A bootable disk of 1 MiB that fills the text screen of 720 x 400 pixels with a character, then prints "drawn" on the serial port. */
export function drawing(character: number): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  const text = [...Buffer.from("drawn\r\n")].flatMap((letter) => [0xb0, letter, 0xee]); // mov al, letter; out dx, al
  Buffer.from([
    ...[0xb8, 0x03, 0x00, 0xcd, 0x10], // mov ax, 3; int 0x10: text, 80 x 25
    ...[0xb4, 0x01, 0xb9, 0x00, 0x20, 0xcd, 0x10], // mov ah, 1; mov cx, 0x2000; int 0x10: no cursor
    ...[0xb8, character, 0x09, 0xbb, 0x07, 0x00, 0xb9, 0xd0, 0x07, 0xcd, 0x10], // mov ax, 0x9..; mov bx, 7; mov cx, 2000; int 0x10
    ...[0xba, 0xf8, 0x03, ...text], // mov dx, 0x3f8
    ...[0xf4, 0xeb, 0xfd], // again: hlt; jmp again
  ]).copy(disk);
  disk.writeUInt16BE(0x55aa, 510);
  return disk;
}

/** The size of a PNG, from its first chunk. */
export function sizeOfPng(png: Buffer): { readonly width: number; readonly height: number } {
  assert.equal(png.subarray(0, 8).toString("hex"), "89504e470d0a1a0a", "the signature of PNG");
  assert.equal(png.subarray(12, 16).toString(), "IHDR");
  assert.equal(png.subarray(-8, -4).toString(), "IEND", "the picture is complete");
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) };
}
