import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as z from "../../kernel/zod.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { Freezes } from "../hypervisor/freezes.ts";
import { refused, type AgentCalls, type GuestAgents } from "../hypervisor/guest-agents.ts";
import { guestInfoOf, guestText, type GuestInfo } from "../model/guest-info.ts";
import { requireGuestExec, type TenantPolicy } from "../model/tenant-policy.ts";
import { requireReadable } from "../model/unreadable.ts";
import type { Vm } from "../model/vm.ts";
import { requireState } from "./vm-state.ts";

/** A process in a guest that has ended. Its output is truncated. */
export interface GuestProcess {
  readonly exitCode?: number | undefined;
  /** The signal, or the exception on Windows, that ended it. */
  readonly signal?: number | undefined;
  readonly output: Buffer;
  readonly errorOutput: Buffer;
  readonly isTruncated: boolean;
}

export interface GuestProgram {
  readonly path: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly input: Uint8Array;
  /** How long to wait for its end. */
  readonly timeoutMs: number;
}

/** How long the guest may trim; meanwhile its agent answers nothing else. */
const TRIM_SECONDS = 20;
const MOST_OUTPUT_BYTES = 256 * 1024;
const MOST_PATHS = 64;
const POLL = { firstMs: 50, mostMs: 1000 } as const;

const version = z.object({ return: z.object({ version: z.string() }) });
const trimmed = z.object({
  return: z.object({ paths: z.array(z.object({ path: z.string(), trimmed: z.number().optional() })) }),
});
const begun = z.object({ return: z.object({ pid: z.number().int() }) });
const status = z.object({
  return: z.object({
    exited: z.boolean(),
    exitcode: z.number().int().optional(),
    signal: z.number().int().optional(),
    "out-data": z.string().optional(),
    "err-data": z.string().optional(),
    "out-truncated": z.boolean().optional(),
    "err-truncated": z.boolean().optional(),
  }),
});

/**
 * What is done inside a running guest, through its agent. Plain calls and no operations: operations of one VM wait for each
 * other, so that a guest that hangs would delay a stop; and no password or command line may be in the journal.
 */
export class Guest {
  readonly #vm: Vm;
  readonly #agents: GuestAgents;
  readonly #freezes: Freezes;
  readonly #clock: Clock;
  readonly #policy: TenantPolicy;
  readonly #operations: { readonly refusal: SocleError | undefined };

  /**
   * `operations.refusal`: why this agent may change nothing now, for example without its lease on libvirt. Throws `conflict`
   * SPEC_UNREADABLE, GUEST_AGENT_NOT_CONFIGURED and VM_STATE_CONFLICT.
   */
  constructor(
    vm: Vm,
    {
      domains,
      clock,
      policy,
      operations,
    }: {
      readonly domains: { readonly guestAgents: GuestAgents; readonly freezes: Freezes };
      readonly clock: Clock;
      readonly policy: TenantPolicy;
      readonly operations: { readonly refusal: SocleError | undefined };
    },
  ) {
    requireReadable(vm);
    requireGuestAgent(vm);
    requireState(vm.state, ["running"], "asked about its guest");
    this.#vm = vm;
    this.#agents = domains.guestAgents;
    this.#freezes = domains.freezes;
    this.#clock = clock;
    this.#policy = policy;
    this.#operations = operations;
  }

  async info(signal: AbortSignal): Promise<GuestInfo> {
    const ask = async ({ dom, call, command }: AgentCalls): Promise<GuestInfo> => {
      const agentVersion = guestText(accepted(version, await command("guest-info")).return.version);
      const { params } = await call(libvirt.domainGetGuestInfo, { dom, types: 0, flags: 0 });
      const time = await call(libvirt.domainGetTime, { dom, flags: 0 }).catch((thrown: unknown) => {
        // Old guests do not tell the time.
        if (toSocleError(thrown).kind !== "internal") throw thrown;
        return undefined;
      });
      const timeMs = time === undefined ? undefined : time.seconds * 1000 + time.nseconds / 1e6;
      return { ...guestInfoOf(params), agentVersion, timeMs };
    };
    return await this.#agents.exchange(this.#vm, ask, { changes: false, signal });
  }

  /** `isHashed`: the password is a hash as crypt(3) makes it. */
  async setPassword(user: string, password: string, isHashed: boolean, signal: AbortSignal): Promise<void> {
    const flags = isHashed ? libvirt.DomainSetUserPasswordFlags.PASSWORD_ENCRYPTED : 0;
    const set = ({ dom, call }: AgentCalls) =>
      call(libvirt.domainSetUserPassword, { dom, user, password, flags });
    await this.#change(set, { isSecret: true, signal });
  }

  /** Adds the keys to the user's, or replaces all. */
  async setSshKeys(
    user: string,
    keys: readonly string[],
    how: "add" | "replace",
    signal: AbortSignal,
  ): Promise<void> {
    const flags = how === "add" ? libvirt.DomainAuthorizedSSHKeysSetFlags.APPEND : 0;
    const set = ({ dom, call }: AgentCalls) =>
      call(libvirt.domainAuthorizedSshKeysSet, { dom, user, keys: [...keys], flags });
    await this.#change(set, { signal });
  }

  /** Returns the trimmed bytes by mount point. */
  async trim(signal: AbortSignal): Promise<readonly { mountPoint: string; trimmedBytes: number }[]> {
    const ask = ({ command }: AgentCalls) => command("guest-fstrim", undefined, TRIM_SECONDS);
    const timeoutMs = 2 * TRIM_SECONDS * 1000;
    const answer = await this.#change(ask, { timeoutMs, signal });
    const { paths } = accepted(trimmed, answer).return;
    return paths.slice(0, MOST_PATHS).map(({ path, trimmed: bytes = 0 }) => {
      return {
        mountPoint: guestText(path),
        trimmedBytes: Number.isSafeInteger(bytes) ? Math.max(0, bytes) : 0,
      };
    });
  }

  /** Sets the guest's clock, and its RTC, to the host's. */
  async syncTime(signal: AbortSignal): Promise<void> {
    const set = ({ dom, call }: AgentCalls) => {
      const nowMs = this.#clock.now();
      const seconds = Math.floor(nowMs / 1000);
      const nseconds = Math.floor((nowMs - seconds * 1000) * 1e6);
      return call(libvirt.domainSetTime, { dom, seconds, nseconds, flags: 0 });
    };
    await this.#change(set, { signal });
  }

  /** Freezes the guest's file systems for at most this long. Throws as Freezes.freeze. */
  async freeze(forMs: number, signal: AbortSignal): ReturnType<Freezes["freeze"]> {
    this.#requireChangeable();
    return await this.#freezes.freeze(this.#vm, forMs, signal);
  }

  /** Returns the number of file systems that were frozen. */
  async thaw(signal: AbortSignal): Promise<number> {
    this.#requireChangeable();
    return await this.#freezes.thaw(this.#vm, signal);
  }

  /**
   * Runs a program in the guest and waits for its end. Throws `denied` GUEST_EXEC_NOT_ALLOWED, and `timeout`
   * GUEST_EXEC_RUNNING if it runs on. The agent cannot end a program in a guest.
   */
  async exec(program: GuestProgram, signal: AbortSignal): Promise<GuestProcess> {
    const { tenant } = this.#vm;
    requireGuestExec(tenant, this.#policy.permissionsOf(tenant));
    const deadlineMs = this.#clock.monotonicMs() + program.timeoutMs;
    const begin = ({ command }: AgentCalls) =>
      command("guest-exec", {
        path: program.path,
        arg: program.arguments,
        env: program.environment,
        "input-data": Buffer.from(program.input).toString("base64"),
        "capture-output": true,
      });
    const secretly = { isSecret: true, signal };
    const { pid } = accepted(begun, await this.#change(begin, secretly)).return;
    const look = ({ command }: AgentCalls) => command("guest-exec-status", { pid });
    for (let waitMs: number = POLL.firstMs; ; waitMs = Math.min(2 * waitMs, POLL.mostMs)) {
      await this.#clock.sleep(waitMs, signal);
      const now = accepted(
        status,
        await this.#agents.exchange(this.#vm, look, { ...secretly, changes: true }),
      ).return;
      if (now.exited) return processOf(now);
      if (this.#clock.monotonicMs() >= deadlineMs) throw stillRuns(pid, program.timeoutMs);
    }
  }

  #requireChangeable(): void {
    const { refusal } = this.#operations;
    if (refusal !== undefined) throw refusal;
  }

  async #change<T>(
    talk: (agent: AgentCalls) => Promise<T>,
    options: Omit<Parameters<GuestAgents["exchange"]>[2], "changes">,
  ): Promise<T> {
    this.#requireChangeable();
    return await this.#agents.exchange(this.#vm, talk, { ...options, changes: true });
  }
}

function processOf(ended: z.output<typeof status>["return"]): GuestProcess {
  const [output, errorOutput] = [bytesOf(ended["out-data"]), bytesOf(ended["err-data"])];
  return {
    exitCode: ended.exitcode,
    signal: ended.signal,
    output: output.subarray(0, MOST_OUTPUT_BYTES),
    errorOutput: errorOutput.subarray(0, MOST_OUTPUT_BYTES),
    isTruncated:
      ended["out-truncated"] === true ||
      ended["err-truncated"] === true ||
      Math.max(output.length, errorOutput.length) > MOST_OUTPUT_BYTES,
  };
}

const bytesOf = (base64 = ""): Buffer => Buffer.from(base64, "base64");

/** A guest's answer. Throws `conflict` GUEST_REFUSED for one of another form. */
function accepted<T>(schema: z.ZodType<T>, answer: unknown): T {
  const { success, data } = schema.safeParse(answer);
  if (success) return data;
  throw refused("its answer has another form");
}

/** Throws `conflict` GUEST_AGENT_NOT_CONFIGURED. */
export function requireGuestAgent({ name, spec }: Pick<Vm, "name" | "spec">): void {
  if (spec?.guestAgent !== true) throw notConfigured(name);
}

const notConfigured = (vm: string): SocleError =>
  new SocleError(
    "conflict",
    "GUEST_AGENT_NOT_CONFIGURED",
    `VM ${vm} has no channel for a guest agent: create it with guest_agent (socle vm create --guest-agent)`,
  );

const stillRuns = (pid: number, afterMs: number): SocleError =>
  new SocleError(
    "timeout",
    "GUEST_EXEC_RUNNING",
    `the program did not end within ${Math.round(afterMs / 100) / 10} s and runs on in the guest as process ${pid}`,
    { details: { metadata: { pid: String(pid) } } },
  );
