/** Combines flags into an unsigned number. JavaScript's `|` is negative at the highest bit, which libvirt uses. */
export function flags(...bits: readonly number[]): number {
  return bits.reduce((all, bit) => all | bit, 0) >>> 0;
}
