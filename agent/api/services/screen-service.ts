import type { Socket } from "node:net";
import type { Clock } from "../../kernel/clock.ts";
import { invalidField, SocleError, toSocleError } from "../../kernel/errors.ts";
import type { OpenScreenRequest__Output } from "../../gen/socle/v1/OpenScreenRequest.ts";
import type { OpenScreenResponse } from "../../gen/socle/v1/OpenScreenResponse.ts";
import type { ScreenServiceHandlers } from "../../gen/socle/v1/ScreenService.ts";
import type { Vm } from "../../vm/model/vm.ts";
import type { Caller } from "../auth/identity.ts";
import { toTimestamp } from "../convert/time.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { CallContext, Methods } from "./handler.ts";
import { readableVm } from "./readable-vm.ts";
import { ScreenTickets, type TicketHolder } from "./screen-tickets.ts";
import { forCaller } from "./tenancy.ts";

/** How long a screen stays open. */
export interface ScreenBounds {
  /** Without a byte in either direction. */
  readonly idleMs: number;
  readonly totalMs: number;
}

const usualBounds: ScreenBounds = { idleMs: 30 * 60_000, totalMs: 12 * 3_600_000 };

export function screenService(
  dependencies: ServiceDependencies,
  clock: Pick<Clock, "now" | "monotonicMs">,
  bounds = usualBounds,
): Methods<ScreenServiceHandlers> {
  const of = forCaller(dependencies);
  const { screens } = dependencies;
  const tickets = new ScreenTickets(clock);
  return {
    CreateScreenTicket({ vm }, { caller }) {
      const found = readableVm(of(caller).vmView, vm);
      screens.require(found);
      const { ticket, expiresAtMs } = tickets.make(holderOf(found, caller));
      return { ticket, expiresAt: toTimestamp(expiresAtMs) };
    },
    async *OpenScreen(requests, { caller, signal }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      if (first.done === true || first.value.vm === "" || first.value.ticket === "")
        throw invalidField("REQUEST_INVALID", "ticket", "must be in the first message, with the VM");
      const { vm, ticket, data } = first.value;
      const found = readableVm(of(caller).vmView, vm);
      tickets.redeem(ticket, holderOf(found, caller));
      const socket = await screens.connect(found, signal);
      yield* relay(socket, { data, messages }, signal, bounds);
    },
    GetScreenshot: ({ vm, screen }, context) => screenshot(vm, screen, context),
  };

  async function* screenshot(vm: string, screen: number, { caller, signal }: CallContext) {
    const found = readableVm(of(caller).vmView, vm);
    for await (const png of screens.screenshot(found, screen, signal)) yield { png };
  }
}

const holderOf = ({ id, instance }: Vm, { name }: Caller): TicketHolder => ({
  caller: name,
  vmId: id,
  instance,
});

/** Bytes both ways until either side, the signal or a bound ends it. */
async function* relay(
  socket: Socket,
  viewer: { readonly data: Buffer; readonly messages: AsyncIterator<OpenScreenRequest__Output, unknown> },
  signal: AbortSignal,
  { idleMs, totalMs }: ScreenBounds,
): AsyncGenerator<OpenScreenResponse, void, undefined> {
  const ending: { why?: Error } = {};
  const end = (why?: unknown): void => {
    if (why !== undefined) ending.why ??= toSocleError(why);
    socket.destroy();
  };
  const onAbort = (): void => end();
  const expiry = AbortSignal.timeout(totalMs);
  const onExpiry = (): void => end(ended("SCREEN_EXPIRED", "was open for as long as a screen may be"));
  socket.setTimeout(idleMs, () => end(ended("SCREEN_IDLE", "had no traffic for too long")));
  expiry.addEventListener("abort", onExpiry, { once: true });
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  // Neither throws: when the viewer ends, so does the loop below.
  void sendAll(socket, viewer).then(end, end);
  try {
    for await (const data of socket) yield { data: data as Buffer };
  } catch {
    // A screen that was cut off ends as one that was closed: `ending` has a reason that matters.
  } finally {
    expiry.removeEventListener("abort", onExpiry);
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
  }
  if (ending.why !== undefined) throw ending.why;
}

/** At the pace of the screen. */
async function sendAll(socket: Socket, { data, messages }: Parameters<typeof relay>[1]): Promise<undefined> {
  const send = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      if (bytes.length === 0 || socket.destroyed) resolve();
      else socket.write(bytes, () => resolve());
    });
  await send(data);
  for (;;) {
    const next = await messages.next();
    if (next.done === true || socket.destroyed) return undefined;
    await send(next.value.data);
  }
}

const ended = (reason: string, why: string): SocleError =>
  new SocleError("timeout", reason, `the screen ${why}; open it again`);
