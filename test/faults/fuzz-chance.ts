/** Edge-case sizes, counts and lengths. */
const edgeNumbers = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x1000000, 0x7fffffff, 0x80000000, 0xfffffffe,
  0xffffffff,
] as const;
const edgeStrings = [
  "a",
  "b-2",
  "10.0.0.2",
  "",
  " ",
  "<",
  "&",
  "'\"",
  "]]>",
  "<!--",
  "<![CDATA[x]]>",
  "&amp;lt;",
  "&#0;",
  "&x;",
  "<!DOCTYPE a [<!ENTITY x 'y'>]>",
  "</name><devices><emulator>/bin/sh</emulator></devices><name>",
  "'/><qemu:commandline><qemu:arg value='-device'/></qemu:commandline><x y='",
  "../../etc/passwd",
  "a,readonly=off",
  "\u0000",
  "\u001f",
  "\u2028",
  "\ufeff",
  "\ud800",
  "🐧",
  "-1",
  "1e999",
  "0x10",
  "NaN",
  "9007199254740993",
  "18446744073709551616",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "true",
  "yes",
  "x".repeat(300),
  "/x".repeat(3000),
] as const;

/** A random generator; a seed and the input's number reproduce each input. */
export class Chance {
  #state: number;

  constructor(seed: number, input: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(input + 1, 0x85ebca77)) >>> 0;
    for (let warm = 0; warm < 4; warm += 1) this.#next();
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  is(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.below(256);
    return bytes;
  }

  number(): number {
    if (this.is(50)) return this.of(edgeNumbers);
    return this.is(20) ? this.of([-1, 0.5, Number.NaN, Infinity, 2 ** 53, 2 ** 63, 1e300]) : this.below(1000);
  }

  text(): string {
    return this.is(70) ? this.of(edgeStrings) : this.bytes(this.below(40)).toString("latin1");
  }

  /** One to five changes: overwritten bits, bytes and words, and removed, doubled, moved or inserted pieces. */
  mutated(source: Uint8Array): Buffer {
    let bytes = Buffer.from(source);
    for (let left = 1 + this.below(5); left > 0; left -= 1) {
      const at = this.below(bytes.length + 1);
      const to = Math.min(bytes.length, at + 1 + this.below(this.is(80) ? 8 : 200));
      const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
      switch (this.below(7)) {
        case 0:
          if (piece.length > 0) piece[0] = (piece[0] ?? 0) ^ (1 << this.below(8));
          break;
        case 1:
          if (bytes.length >= 4)
            bytes.writeUInt32BE(this.of(edgeNumbers), Math.min(at & ~3, (bytes.length - 4) & ~3));
          break;
        case 2:
          bytes = Buffer.concat([before, after]);
          break;
        case 3:
          bytes = Buffer.concat([before, piece, piece, after]);
          break;
        case 4:
          bytes = Buffer.concat([before, this.bytes(1 + this.below(16)), after]);
          break;
        case 5:
          bytes = Buffer.concat([before, Buffer.from(this.text()), after]);
          break;
        default:
          if (this.is(20)) bytes = Buffer.from(before);
          else bytes = Buffer.concat([after, piece, before]);
      }
    }
    return bytes;
  }

  /** Splits a text into tokens and replaces some by others of the text or by edge cases. */
  mutatedText(source: string, tokens: RegExp): string {
    const parts = source.split(tokens);
    for (let left = 1 + this.below(4); left > 0; left -= 1) {
      const at = this.below(parts.length);
      const count = 1 + this.below(this.is(80) ? 2 : 30);
      const piece = parts.slice(at, at + count);
      switch (this.below(5)) {
        case 0:
          parts.splice(at, count);
          break;
        case 1:
          parts.splice(at, 0, ...piece);
          break;
        case 2:
          parts.splice(at, 1, this.text());
          break;
        case 3:
          parts.splice(at, 1, this.of(parts));
          break;
        default:
          parts.splice(this.below(parts.length), 0, ...piece);
      }
    }
    return parts.join("");
  }

  /** A JSON value with one to three changes: another type, an edge case, removed, or repeated. */
  mutatedValue(source: unknown): unknown {
    const value: unknown = structuredClone(source);
    for (let left = this.is(70) ? 1 : 1 + this.below(3); left > 0; left -= 1) this.#mutatePlace(value);
    return value;
  }

  #mutatePlace(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    const holder = value as Record<string, unknown>;
    const keys = Object.keys(holder);
    const key = keys.length > 0 && this.is(95) ? this.of(keys) : this.text();
    const member = Object.hasOwn(holder, key) ? holder[key] : undefined;
    if (typeof member === "object" && member !== null && this.is(75)) this.#mutatePlace(member);
    else if (this.is(10) && !Array.isArray(holder)) Reflect.deleteProperty(holder, key);
    else if (this.is(10) && Array.isArray(holder))
      for (let more = this.below(30); more > 0; more -= 1) holder.push(member);
    else {
      // An assignment to "__proto__" would not create a key.
      const other = { value: this.#other(member), writable: true, enumerable: true, configurable: true };
      Object.defineProperty(holder, key, other);
    }
  }

  #other(value: unknown): unknown {
    const isSame = this.is(70);
    if (typeof value === "number" && isSame) return this.number();
    if (typeof value === "string" && isSame)
      return this.is(50) ? this.text() : this.mutated(Buffer.from(value)).toString("latin1");
    return this.of<unknown>([
      null,
      true,
      this.number(),
      this.text(),
      [],
      {},
      [this.text()],
      { a: this.text() },
    ]);
  }

  #next(): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
