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
  /** @type {EventSource | undefined} */
  let source;
  /** When the silence is too long, or for the next try. @type {number | undefined} */
  let timer;

  document.addEventListener("visibilitychange", () => {
    // A tab that nobody sees keeps nobody else's place.
    if (document.hidden) end("not followed while nobody looks");
    else if (source === undefined) open();
  });
  open();

  function open() {
    if (document.hidden) return;
    clearTimeout(timer);
    source = new EventSource("/page/stream");
    source.addEventListener("state", (event) => {
      retryMs = FIRST_RETRY_MS;
      hear();
      to.onState(JSON.parse(event.data));
      to.onLink(true, "");
    });
    source.addEventListener("patch", (event) => {
      hear();
      to.onPatch(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      lose("no connection to the agent");
      void refusal().then((why) => {
        if (why !== "" && source === undefined) to.onLink(false, why);
      });
    });
    hear();
  }

  function hear() {
    clearTimeout(timer);
    timer = window.setTimeout(() => lose("the agent went silent"), SILENT_MS);
  }

  /** @param {string} why */
  function lose(why) {
    end(why);
    // A server that comes back is not met by all browsers at once.
    timer = window.setTimeout(open, retryMs * (0.5 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  }

  /** @param {string} why */
  function end(why) {
    clearTimeout(timer);
    source?.close();
    source = undefined;
    to.onLink(false, why);
  }
}

/** What the agent says to who may not watch, which a stream does not tell; "": nothing. */
async function refusal() {
  try {
    const response = await fetch("/page/stream", { signal: AbortSignal.timeout(SILENT_MS) });
    if (!response.ok) return (await response.text()).trim();
    await response.body?.cancel();
  } catch {
    // That there is no connection is told already.
  }
  return "";
}
