type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The same without its undefined members: for messages, where a member that is there has a value. */
export function withoutUndefined<T extends object>(value: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as Partial<
    Defined<T>
  >;
}
