const known = new WeakMap<object, Buffer>();

/** Gives a message its wire form, for those that are large and often asked for: it is sent as it is. */
export function setEncoding(message: object, bytes: Buffer): void {
  known.set(message, bytes);
}

export const encodingOf = (message: unknown): Buffer | undefined =>
  typeof message === "object" && message !== null ? known.get(message) : undefined;
