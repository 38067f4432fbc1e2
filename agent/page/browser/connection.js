// The event stream. A browser's own reconnecting gives up at the first refusal; this one never does.

/** The agent sends something every 5 s. */
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
  /** Ends a silent stream, or starts the next attempt. @type {number | undefined} */
  let timer;

  document.addEventListener("visibilitychange", () => {
    // A hidden tab must not take another's place.
    if (document.hidden) end("paused while the tab is hidden");
    else if (source === undefined) open();
  });
  open();

  function open() {
    if (document.hidden) return;
    clearTimeout(timer);
    source = new EventSource("/page/stream");
    source.addEventListener("state", (event) => {
      retryMs = FIRST_RETRY_MS;
      restartTimer();
      to.onState(JSON.parse(event.data));
      to.onLink(true, "");
    });
    source.addEventListener("patch", (event) => {
      restartTimer();
      to.onPatch(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      lose("no connection to the agent");
      void refusal().then((why) => {
        if (why !== "" && source === undefined) to.onLink(false, why);
      });
    });
    restartTimer();
  }

  function restartTimer() {
    clearTimeout(timer);
    timer = window.setTimeout(() => lose("the agent went silent"), SILENT_MS);
  }

  /** @param {string} why */
  function lose(why) {
    end(why);
    // Browsers must not all reconnect at once.
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

/** The agent's reason for a refusal, which a stream does not have; "": none. */
async function refusal() {
  try {
    const response = await fetch("/page/stream", { signal: AbortSignal.timeout(SILENT_MS) });
    if (!response.ok) return (await response.text()).trim();
    await response.body?.cancel();
  } catch {
    // The lost connection is reported already.
  }
  return "";
}
