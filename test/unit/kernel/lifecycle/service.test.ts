import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { runServices, type Service } from "../../../../agent/kernel/lifecycle/service.ts";

const options = { log: silentLog, stopTimeoutMs: 5000 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve());
  });

/** A service that records its start and stop, and is ready after `startup`. */
function service(name: string, notes: string[], startup: Promise<unknown> = Promise.resolve()): Service {
  return {
    name,
    async run(signal, ready) {
      notes.push(`${name} starts`);
      await startup;
      ready();
      await aborted(signal);
      await turn();
      notes.push(`${name} stopped`);
    },
  };
}

test("each service starts when the previous one is ready; they stop in reverse order, one by one", async () => {
  const notes: string[] = [];
  const stop = new AbortController();
  let startFirst = (): void => undefined;
  const startup = new Promise<void>((resolve) => (startFirst = resolve));
  const running = runServices(
    [service("a", notes, startup), service("b", notes)],
    stop.signal,
    () => notes.push("ready"),
    options,
  );
  await turn();
  assert.deepEqual(notes, ["a starts"]);
  startFirst();
  await turn();
  assert.deepEqual(notes, ["a starts", "b starts", "ready"]);
  stop.abort();
  await running;
  assert.deepEqual(notes.slice(3), ["b stopped", "a stopped"]);
});

test("a service that waits for an external system delays the start no longer than its limit", async () => {
  const notes: string[] = [];
  const stop = new AbortController();
  const never = new Promise<void>(() => undefined);
  const hung: Service = { ...service("a", notes, never), readyWithinMs: 1 };
  const ready = new Promise<void>((resolve) => {
    void runServices([hung, service("b", notes)], stop.signal, resolve, { ...options, stopTimeoutMs: 1 });
  });
  await ready;
  assert.deepEqual(notes, ["a starts", "b starts"]);
  stop.abort();
});

test("a failing service stops the others, and its name is in the error", async () => {
  const notes: string[] = [];
  const failing: Service = {
    name: "b",
    async run(_signal, ready) {
      ready();
      await turn();
      throw new RangeError("broken");
    },
  };
  const running = runServices(
    [service("a", notes), failing, service("c", notes)],
    new AbortController().signal,
    () => undefined,
    options,
  );
  await assert.rejects(running, (error: Error) => {
    assert.match(error.message, /service b failed: broken/);
    assert.ok(error.cause instanceof RangeError);
    return true;
  });
  assert.deepEqual(notes, ["a starts", "c starts", "c stopped", "a stopped"]);
});

test("a service's own SocleError is thrown unchanged: its kind decides the exit code", async () => {
  const refusal = new SocleError("unavailable", "ADDRESS_IN_USE", "the port is taken");
  const failing: Service = { name: "b", run: () => Promise.reject(refusal) };
  await assert.rejects(
    runServices([failing], new AbortController().signal, () => undefined, options),
    (error) => error === refusal,
  );
});

test("a service that ends by itself is a failure, even without an error", async () => {
  const notes: string[] = [];
  const ends: Service = {
    name: "b",
    run: (_signal, ready) => {
      ready();
      return Promise.resolve();
    },
  };
  await assert.rejects(
    runServices([service("a", notes), ends], new AbortController().signal, () => undefined, options),
    /service b failed: it ended unexpectedly/,
  );
  assert.equal(notes.at(-1), "a stopped");
});

test("a failure before readiness starts no further service, and readiness is never reported", async () => {
  const notes: string[] = [];
  const failing: Service = { name: "a", run: () => Promise.reject(new Error("no port")) };
  await assert.rejects(
    runServices(
      [failing, service("b", notes)],
      new AbortController().signal,
      () => notes.push("ready"),
      options,
    ),
    /service a failed: no port/,
  );
  assert.deepEqual(notes, []);
});

test("a stop during the start stops the started services, without readiness", async () => {
  const notes: string[] = [];
  const stop = new AbortController();
  const startsLong: Service = {
    name: "b",
    run: async (signal) => {
      await aborted(signal);
      notes.push("b stopped");
    },
  };
  const running = runServices(
    [service("a", notes), startsLong, service("c", notes)],
    stop.signal,
    () => notes.push("ready"),
    options,
  );
  await turn();
  stop.abort();
  await running;
  assert.deepEqual(notes, ["a starts", "b stopped", "a stopped"]);
});

test("a service that does not stop is abandoned after its time, and a failure during stop is only logged", async () => {
  const notes: string[] = [];
  const stop = new AbortController();
  const hangs: Service = {
    name: "hangs",
    run: (_signal, ready) => {
      ready();
      return new Promise(() => undefined);
    },
    stopTimeoutMs: 20,
  };
  const failsLate: Service = {
    name: "fails late",
    async run(signal, ready) {
      ready();
      await aborted(signal);
      throw new Error("could not close");
    },
  };
  const warnings: string[] = [];
  const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
    warn: (_fields: unknown, message: string) => warnings.push(message),
  });
  const running = runServices([service("a", notes), hangs, failsLate], stop.signal, () => stop.abort(), {
    log,
    stopTimeoutMs: 60_000,
  });
  await running;
  assert.deepEqual(warnings, [
    "service failed while stopping",
    "service did not stop in time and is abandoned",
  ]);
  assert.equal(notes.at(-1), "a stopped");
});

test("a run that throws at the call is a failure like any other", async () => {
  const notes: string[] = [];
  const throws: Service = {
    name: "b",
    run: () => {
      throw new Error("at once");
    },
  };
  await assert.rejects(
    runServices([service("a", notes), throws], new AbortController().signal, () => undefined, options),
    /service b failed: at once/,
  );
  assert.equal(notes.at(-1), "a stopped");
});
