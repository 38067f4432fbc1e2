type Optional<T, K extends keyof T> = Partial<Pick<T, K>> extends Pick<T, K> ? true : false;

/** Every key of T must be listed; those optional in T may be undefined. */
export type Fields<T> = { [K in keyof T]-?: Optional<T, K> extends true ? T[K] | undefined : T[K] };

/** An object without its undefined members: what a document does not say is absent, not undefined. */
export function present<T extends object>(fields: Fields<T>): T {
  const given = fields as Readonly<Record<string, unknown>>;
  const result: Record<string, unknown> = {};
  for (const key in given) if (given[key] !== undefined) result[key] = given[key];
  return result as T;
}

/** The value, where it is one of the words that the type knows. */
export function oneOf<const T extends string>(value: string | undefined, words: readonly T[]): T | undefined {
  return words.find((word) => word === value);
}

/** The list, or undefined for an empty one: for members that are absent rather than empty. */
export function some<T>(items: T[]): T[] | undefined {
  return items.length > 0 ? items : undefined;
}
