// The stream of what happens. A browser's own reconnecting gives up at the first refusal; this one never does.

/** The agent says something every 5 s. */
const SILENT_MS = 13_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/**
 * @param {{ onState(state: any): void, onPatch(patch: any): void, onLink(up: boolean, why: string): void }} to
 */
export function connect(to) {
  let retryMs = FIRST_RETRY_MS;
  /** @type {number | undefined} */
  let silence;
  open();

  function open() {
    const source = new EventSource("/page/stream");
    let over = false;
    /** @param {string} why */
    const lose = (why) => {
      if (over) return;
      over = true;
      source.close();
      clearTimeout(silence);
      to.onLink(false, why);
      // A server that comes back is not met by all browsers at once.
      setTimeout(open, retryMs * (0.5 + Math.random() / 2));
      retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
    };
    const heard = () => {
      clearTimeout(silence);
      silence = window.setTimeout(() => lose("the agent went silent"), SILENT_MS);
    };
    source.addEventListener("state", (event) => {
      retryMs = FIRST_RETRY_MS;
      heard();
      to.onState(JSON.parse(event.data));
      to.onLink(true, "");
    });
    source.addEventListener("patch", (event) => {
      heard();
      to.onPatch(JSON.parse(event.data));
    });
    source.addEventListener("error", () => lose("no connection to the agent"));
    heard();
  }
}
