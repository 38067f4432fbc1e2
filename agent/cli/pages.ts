/** All pages of a list, in order; at least one. */
export async function allPages<Page extends { readonly nextPageToken: string }>(
  ask: (pageToken: string) => Promise<Page>,
): Promise<[Page, ...Page[]]> {
  const first = await ask("");
  const pages: [Page, ...Page[]] = [first];
  for (let { nextPageToken } = first; nextPageToken !== "";) {
    const page = await ask(nextPageToken);
    pages.push(page);
    ({ nextPageToken } = page);
  }
  return pages;
}
