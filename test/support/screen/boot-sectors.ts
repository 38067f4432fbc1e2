/** A bootable disk of 1 MiB that prints a text on the serial port again and again, at ticks of its timer. */
export function saying(text: string): Buffer {
  return bootable([
    ...[0xba, 0xf8, 0x03], // mov dx, 0x3f8
    ...[...Buffer.from(`${text}\r\n`)].flatMap((letter) => [0xb0, letter, 0xee]), // mov al, letter; out dx, al
  ]);
}

/** Repeats the code at every tenth tick. */
function bootable(code: readonly number[]): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  const wait = [0xb9, 0x0a, 0x00, 0xf4, 0xe2, 0xfd]; // mov cx, 10; again: hlt; loop again
  const body = [...code, ...wait];
  const back = -(body.length + 3);
  const jump = [0xe9, back & 0xff, (back >> 8) & 0xff]; // jmp to the begin
  Buffer.from([...body, ...jump]).copy(disk);
  disk.writeUInt16BE(0x55aa, 510);
  return disk;
}
