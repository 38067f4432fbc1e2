import crypto, { type KeyObject, type KeyPairKeyObjectResult } from "node:crypto";
import fsPromises from "node:fs/promises";
import { EventEmitter } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import timersPromises from "node:timers/promises";
import type { Chance } from "./chance.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** The simulated machine for the agent's code. */
export interface Machine {
  readonly time: VirtualTime;
  readonly disk: SimulatedDisk;
  /** The agent's source of randomness. */
  readonly chance: Chance;
  /** Abstract unix sockets with a listener. */
  readonly names: Set<string>;
}

let machine: Machine | undefined;

/** Switches Node's timers, clocks, randomness and fs/promises to this machine; undefined: back to Node's own. */
export function occupy(next: Machine | undefined): void {
  install();
  machine = next;
  keysMade = 0;
}

let isInstalled = false;

/** Replaces Node's functions once: each checks at every call whether there is a machine. */
function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  replaceTimers();
  replaceClocks();
  replaceRandomness();
  replaceKeys();
  replaceFiles();
  replace(net, "createServer", ({ names }) => new NamedServer(names));
  syncBuiltinESMExports();
}

type AnyFunction = (...args: never[]) => unknown;
type Replaceable = Record<string, AnyFunction>;

/** `virtual` gets the machine and the arguments. */
function replace(target: object, name: string, virtual: (on: Machine, ...args: never[]) => unknown): void {
  const own = target as Replaceable;
  const real = own[name];
  if (real === undefined) throw new Error(`Node has no ${name}`);
  const replacement = function (this: unknown, ...args: never[]): unknown {
    return machine === undefined ? real.apply(this, args) : virtual(machine, ...args);
  };
  Object.assign(replacement, real);
  own[name] = replacement;
}

/** Node's timers are objects with ref() and unref(). */
class TimerHandle {
  readonly timer: ReturnType<VirtualTime["set"]>;
  constructor(timer: ReturnType<VirtualTime["set"]>) {
    this.timer = timer;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

function replaceTimers(): void {
  const set = (
    { time }: Machine,
    run: (...args: unknown[]) => void,
    ms = 0,
    ...args: unknown[]
  ): TimerHandle => new TimerHandle(time.set(ms, () => run(...args)));
  const clear = ({ time }: Machine, handle: unknown): void => {
    if (handle instanceof TimerHandle) time.clear(handle.timer);
  };
  replace(globalThis, "setTimeout", set);
  replace(globalThis, "setImmediate", (on, run: () => void, ...args: never[]) => set(on, run, 0, ...args));
  replace(globalThis, "setInterval", () => {
    throw new Error("the simulation has no setInterval: sleep on a Clock");
  });
  for (const name of ["clearTimeout", "clearImmediate", "clearInterval"]) replace(globalThis, name, clear);
  const pause = ({ time }: Machine, ms: number, value: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      time.set(ms, () => resolve(value));
    });
  replace(timersPromises, "setImmediate", (on, value: never) => pause(on, 0, value));
  replace(timersPromises, "setTimeout", (on, ms: number, value: never) => pause(on, ms, value));
  replace(AbortSignal, "timeout", ({ time }, ms: number) => {
    const over = new AbortController();
    time.set(ms, () =>
      over.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")),
    );
    return over.signal;
  });
}

function replaceClocks(): void {
  replace(Date, "now", ({ time }) => time.wallNowMs());
  replace(performance, "now", ({ time }) => time.nowMs);
  const { hrtime } = process;
  replace(hrtime, "bigint", ({ time }) => BigInt(Math.floor(time.nowMs * 1e6)));
}

function replaceRandomness(): void {
  replace(Math, "random", ({ chance }) => chance.number());
  replace(crypto, "randomBytes", ({ chance }, count: number) => chance.bytes(count));
  replace(crypto, "randomUUID", ({ chance }) => {
    const hex = chance.bytes(16).toString("hex");
    const variant = ((parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  });
}

/** Keys of this process: the nth key of every history is the same, since making and reading keys takes long. */
const keyPairs: KeyPairKeyObjectResult[] = [];
const privateKeys = new Map<string, KeyObject>();
let keysMade = 0;

function replaceKeys(): void {
  const { generateKeyPairSync, createPrivateKey } = crypto;
  replace(crypto, "generateKeyPairSync", (_on, ...[type, ...options]: string[]): KeyPairKeyObjectResult => {
    if (type !== "ed25519" || options.length > 0)
      throw new Error("the simulation keeps keys of Ed25519 alone");
    const pair = (keyPairs[keysMade] ??= generateKeyPairSync(type));
    keysMade += 1;
    return pair;
  });
  replace(crypto, "createPrivateKey", (_on, pem: string): KeyObject => {
    const key = privateKeys.get(pem) ?? createPrivateKey(pem);
    privateKeys.set(pem, key);
    return key;
  });
}

/** A server that only occupies its name. */
class NamedServer extends EventEmitter {
  readonly #names: Set<string>;
  #own = "";

  constructor(names: Set<string>) {
    super();
    this.#names = names;
  }

  listen(name: string, listening: () => void): this {
    const isTaken = this.#names.has(name);
    if (!isTaken) this.#names.add((this.#own = name));
    queueMicrotask(() => {
      if (isTaken) this.emit("error", Object.assign(new Error("listen EADDRINUSE"), { code: "EADDRINUSE" }));
      else listening();
    });
    return this;
  }

  unref(): this {
    return this;
  }

  close(): this {
    this.#names.delete(this.#own);
    return this;
  }
}

const onDisk = [
  "access",
  "chmod",
  "link",
  "lstat",
  "mkdir",
  "open",
  "readFile",
  "readdir",
  "readlink",
  "realpath",
  "rename",
  "rm",
  "stat",
  "symlink",
  "truncate",
  "unlink",
  "writeFile",
] as const;

function replaceFiles(): void {
  // Module exports are typed read-only; the CommonJS object behind them is not.
  const target = fsPromises as unknown as Replaceable;
  for (const name of onDisk) {
    const real = target[name] as ((...args: unknown[]) => unknown) | undefined;
    if (real === undefined) throw new Error(`Node has no ${name}`);
    target[name] = (...args: unknown[]): unknown => {
      if (machine === undefined) return real(...args);
      return (machine.disk[name] as (...args: unknown[]) => unknown)(...args);
    };
  }
}
