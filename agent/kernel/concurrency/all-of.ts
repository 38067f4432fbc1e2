type Settled<Work> = { -readonly [Name in keyof Work]: Awaited<Work[Name]> };

/** As Promise.all, for named promises. */
export async function allOf<Work extends Readonly<Record<string, unknown>>>(
  work: Work,
): Promise<Settled<Work>> {
  const entries = Object.entries(work).map(async ([name, one]) => [name, await one] as const);
  // The names are those of `work`.
  return Object.fromEntries(await Promise.all(entries)) as Settled<Work>;
}
