import { rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { basename, join } from "node:path";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import * as libvirt from "../../libvirt/index.ts";
import { basenameOfScreen } from "../model/machine-devices.ts";
import type { Vm } from "../model/vm.ts";
import { isActive } from "./domain-state.ts";
import type { Domains } from "./domains.ts";
import { reference } from "./stamps.ts";

/** Viewers of one VM at a time. */
const MOST_OPEN = 4;
const CONNECT_MS = 5000;
const SCREENSHOT_MS = 20_000;
const MOST_SCREENSHOT_BYTES = 16 * 2 ** 20;
const PIECE_BYTES = 64 * 1024;
const PNG = Buffer.from("89504e470d0a1a0a", "hex");

/** The screens of running guests. They only need to be read: nothing of a domain changes. */
export class Screens {
  readonly #domains: Pick<Domains, "document">;
  readonly #libvirt: Pick<libvirt.Libvirt, "openStream">;
  readonly #open = new Map<string, number>();
  readonly #connectMs: number;

  constructor(
    domains: Pick<Domains, "document">,
    calls: Pick<libvirt.Libvirt, "openStream">,
    connectMs = CONNECT_MS,
  ) {
    this.#domains = domains;
    this.#libvirt = calls;
    this.#connectMs = connectMs;
  }

  /** For metrics: the screens that are open now. */
  get open(): number {
    return [...this.#open.values()].reduce((sum, each) => sum + each, 0);
  }

  /** Throws `denied` VM_UNMANAGED and `conflict` VM_STATE_CONFLICT. */
  require({ name, id, managed, state }: Vm): void {
    if (!managed) {
      const message = `VM ${name} was not made by Socle, which shows it but never opens its screen`;
      throw new SocleError("denied", "VM_UNMANAGED", message, { details: { metadata: { vm_id: id } } });
    }
    if (isActive({ state })) return;
    const message = `VM ${name} is ${state}; only one that runs has a screen`;
    throw new SocleError("conflict", "VM_STATE_CONFLICT", message, { details: { metadata: { state } } });
  }

  /**
   * Connects to the screen. The caller closes the socket. Throws as `require`, `conflict`
   * SCREEN_NOT_CONFIGURED, `exhausted` SCREENS_EXHAUSTED, `unavailable` SCREEN_UNREACHABLE.
   */
  async connect(vm: Vm, signal: AbortSignal): Promise<Socket> {
    this.require(vm);
    const leave = this.#enter(vm);
    try {
      const path = await this.#socketOf(vm);
      const socket = await connected(path, vm, signal, this.#connectMs);
      socket.once("close", leave);
      return socket;
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }

  /** A picture as PNG. Throws as `connect`, `unsupported` SCREENSHOT_NOT_PNG and `exhausted` SCREENSHOT_TOO_LARGE. */
  async *screenshot(vm: Vm, screen: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    this.require(vm);
    await this.#socketOf(vm);
    const args = { dom: reference(vm.id), screen, flags: 0 };
    const stream = await this.#libvirt
      .openStream(libvirt.domainScreenshot, args, { timeoutMs: SCREENSHOT_MS, signal })
      .catch((thrown: unknown) => {
        throw noSuchScreen(thrown, screen);
      });
    let bytes = 0;
    for await (const piece of stream) {
      if (bytes === 0 && !piece.subarray(0, PNG.length).equals(PNG)) throw notPng(stream.reply.mime);
      bytes += piece.length;
      if (bytes > MOST_SCREENSHOT_BYTES) throw tooLarge();
      for (let at = 0; at < piece.length; at += PIECE_BYTES) yield piece.subarray(at, at + PIECE_BYTES);
    }
    if (bytes === 0) throw notPng(stream.reply.mime);
  }

  #enter({ id, name }: Vm): () => void {
    const now = this.#open.get(id) ?? 0;
    if (now >= MOST_OPEN) {
      const message = `the screen of VM ${name} is open ${now} times already, which is the most; close one of them`;
      throw new SocleError("exhausted", "SCREENS_EXHAUSTED", message, { details: { retryAfterMs: 5000 } });
    }
    this.#open.set(id, now + 1);
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      const left = (this.#open.get(id) ?? 1) - 1;
      if (left > 0) this.#open.set(id, left);
      else this.#open.delete(id);
    };
  }

  /** Of the running guest: a changed spec or configuration has its effect at the next start. */
  async #socketOf({ id, name }: Vm): Promise<string> {
    const document = await this.#domains.document(id, "running");
    const [found] = document?.devices.graphics.flatMap(({ type, socket }) =>
      type === "vnc" && socket !== undefined ? [socket] : [],
    ) ?? [undefined];
    // Another client may have given the domain another one, such as libvirt's own socket.
    if (found !== undefined && basename(found) === basenameOfScreen(id)) return found;
    const message = `VM ${name} runs without a screen; give it one, which it has after its next start: socle vm update ${name} --graphics vnc`;
    throw new SocleError("conflict", "SCREEN_NOT_CONFIGURED", message);
  }
}

/** QEMU leaves the socket behind. A failure leaves an empty file until the host's next boot. */
export async function removeScreen(socketDirectory: string, vmId: string): Promise<void> {
  await rm(join(socketDirectory, basenameOfScreen(vmId)), { force: true }).catch(() => undefined);
}

function connected(path: string, { name }: Vm, signal: AbortSignal, connectMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // The option "signal" of a socket would also end it once it is connected.
    const socket = connect({ path });
    const giveUp = (): void => void socket.destroy(new Error("no answer"));
    const late = setTimeout(giveUp, connectMs);
    const settle = (): void => {
      clearTimeout(late);
      signal.removeEventListener("abort", giveUp);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const onError = (cause: Error): void => {
      settle();
      socket.destroy();
      const message = `the screen of VM ${name} cannot be opened: ${codeOf(cause) ?? "no answer"} at ${path}; check the directory with: socle doctor`;
      reject(
        new SocleError("unavailable", "SCREEN_UNREACHABLE", message, {
          cause,
          details: { retryAfterMs: 2000 },
        }),
      );
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      settle();
      socket.off("error", onError);
      // Its end is in "close" and in the reads.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

function noSuchScreen(thrown: unknown, screen: number): unknown {
  if (screen === 0 || toSocleError(thrown).reason !== "LIBVIRT_OPERATION_INVALID") return thrown;
  const message = `the VM has no screen ${screen}; the first is 0`;
  return new SocleError("invalid", "REQUEST_INVALID", message, {
    cause: thrown,
    details: { fields: { screen: message } },
  });
}

const notPng = (mime: string | null): SocleError =>
  new SocleError(
    "unsupported",
    "SCREENSHOT_NOT_PNG",
    `this host's QEMU makes screenshots as ${mime ?? "an unknown type"}; PNG needs QEMU 7.1 or newer`,
  );

const tooLarge = (): SocleError =>
  new SocleError(
    "exhausted",
    "SCREENSHOT_TOO_LARGE",
    `the screenshot has more than ${MOST_SCREENSHOT_BYTES} bytes`,
  );
