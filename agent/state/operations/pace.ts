/** Readings of the last seconds: long enough for steady figures, short enough to show a copy that stands still. */
const WINDOW_MS = 10_000;
/** Less is no measure. */
const LEAST_MS = 500;

/** The speed of a copy over the last seconds. */
export class Pace {
  #readings: readonly { readonly bytes: number; readonly atMs: number }[] = [];

  /** Takes a reading on a monotonic clock. Returns bytes per second; undefined while it is not known. */
  at(bytes: number, atMs: number): number | undefined {
    // The newest one before the window is its beginning.
    const before = this.#readings.findLastIndex((reading) => atMs - reading.atMs >= WINDOW_MS);
    this.#readings = [...this.#readings.slice(Math.max(0, before)), { bytes, atMs }];
    const first = this.#readings[0];
    if (first === undefined || atMs - first.atMs < LEAST_MS) return undefined;
    return Math.max(0, ((bytes - first.bytes) * 1000) / (atMs - first.atMs));
  }
}
