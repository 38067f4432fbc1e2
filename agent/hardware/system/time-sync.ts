import { machine } from "node:os";
import { SocleError } from "../../kernel/errors.ts";
import { runChild, type ChildOutput } from "../privileged/child.ts";
import type { Reading } from "../reading.ts";
import { defined } from "../../kernel/defined.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** Synchronisation state of this machine's clock. */
export interface TimeSync {
  /** The reporting source: chrony, timesyncd, or the kernel. */
  readonly source: "chrony" | "timesyncd" | "kernel";
  /** A time service keeps the clock, and reached its servers recently. */
  readonly synced: boolean;
  /** Reference time minus this clock: positive while this clock is behind. Absent if the source does not report it. */
  readonly offsetSeconds?: number;
}

/** Runs a program to completion; rejects on failure, as `runChild` does. */
type Run = (argv: readonly [string, ...string[]], signal: AbortSignal) => Promise<ChildOutput>;

const run: Run = (argv, signal) => runChild(argv, { timeoutMs: 5000, maxOutputBytes: 65_536, signal }).output;

/** Syscall numbers of x86-64 and arm64 (asm/unistd.h); Node has no such call. */
const ADJTIMEX_NUMBERS: Readonly<Record<string, number>> = { x86_64: 159, aarch64: 171 };

/**
 * Queries time services, most precise first: chrony (over its command port on loopback, which needs no rights),
 * systemd-timesyncd and timedated (over D-Bus), then the kernel itself (adjtimex(2), by perl: a hardened service may not
 * call it). Unsupported if the programs for all sources are missing.
 */
export async function readTimeSync(signal: AbortSignal, ask: Run = run): Promise<Reading<TimeSync>> {
  const reasons = new Set<string>();
  let isMissing = true;
  for (const source of [chrony, timesyncd, timedated, kernel]) {
    try {
      return { kind: "read", value: await source(ask, signal) };
    } catch (cause) {
      if (signal.aborted) return { kind: "failed", reason: "cancelled" };
      isMissing &&= cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED";
      reasons.add(messageOf(cause));
    }
  }
  const reason = `no time service reports the clock's state: ${[...reasons].join("; ")}`;
  return { kind: isMissing ? "unsupported" : "failed", reason };
}

/** Unanswered polls in a row after which NTP considers a server unreachable (RFC 5905, 9.2). */
const LOST_POLLS = 8;
/** chrony's default longest poll interval. */
const LONGEST_POLL_SECONDS = 1024;

async function chrony(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["chronyc", "-n", "-c", "tracking"], signal);
  const columns = stdout.trim().split(",");
  const leap = columns[13];
  const [heardAtSeconds = NaN, offsetSeconds = NaN, betweenSeconds = NaN] = [3, 4, 12].map((column) =>
    Number(columns[column]),
  );
  if (leap === undefined || !Number.isFinite(heardAtSeconds + offsetSeconds + betweenSeconds))
    throw new Error(`unexpected output of chronyc: ${JSON.stringify(stdout.slice(0, 100))}`);
  // chrony keeps reporting a synchronised clock long after it lost its servers.
  const silentSeconds = Date.now() / 1000 - heardAtSeconds;
  const isAnswering = silentSeconds < LOST_POLLS * Math.max(betweenSeconds, LONGEST_POLL_SECONDS);
  const synced = leap !== "Not synchronised" && isAnswering;
  // Before synchronisation its offset is not a measurement.
  return defined({ source: "chrony", synced, offsetSeconds: synced ? offsetSeconds : undefined });
}

/** Only if timesyncd keeps the clock. The offset is from its last poll of the server. */
async function timesyncd(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["timedatectl", "timesync-status"], signal);
  const offset = /^ *Offset: ([+-])(.*)$/m.exec(stdout);
  if (offset === null) throw new Error("timesyncd has no answer from a server");
  const { synced } = await timedated(ask, signal);
  const offsetSeconds = (offset[1] === "-" ? -1 : 1) * timespanSeconds(offset[2] ?? "");
  return { source: "timesyncd", synced, offsetSeconds };
}

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  us: 1e-6,
  ms: 1e-3,
  s: 1,
  min: 60,
  h: 3600,
  d: 86_400,
};

/** systemd's spans, e.g. "1min 2.5s". */
const timespanSeconds = (text: string): number =>
  text.split(" ").reduce((sum, part) => {
    const [, count, unit = ""] = /^([\d.]+)([a-z]+)$/.exec(part) ?? [];
    const seconds = Number(count) * (UNIT_SECONDS[unit] ?? NaN);
    if (!Number.isFinite(seconds))
      throw new Error(`unexpected offset from timedatectl: ${JSON.stringify(text)}`);
    return sum + seconds;
  }, 0);

async function timedated(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["timedatectl", "show", "--property=NTPSynchronized"], signal);
  const answer = /^NTPSynchronized=(yes|no)$/m.exec(stdout)?.[1];
  if (answer === undefined)
    throw new Error(`unexpected output of timedatectl: ${JSON.stringify(stdout.slice(0, 100))}`);
  return { source: "kernel", synced: answer === "yes" };
}

/** Prints what adjtimex(2) returned, and of struct timex the offset and the status. With modes 0 it only reads. */
const ADJTIMEX = `my $timex = "\\0" x 256;
my $state = syscall($ARGV[0] + 0, $timex);
die "adjtimex: $!\\n" if $state < 0;
my ($offset, $status) = unpack("x8 q x24 l", $timex);
print "$state $offset $status\\n";`;
const TIME_ERROR = 5;
const STA_NANO = 0x2000;

async function kernel(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const number = ADJTIMEX_NUMBERS[machine()];
  if (number === undefined) throw new Error(`no adjtimex syscall number for ${machine()}`);
  const { stdout } = await ask(["perl", "-e", ADJTIMEX, String(number)], signal);
  const [state, offset, status] = stdout.trim().split(" ").map(Number);
  if (
    state === undefined ||
    offset === undefined ||
    status === undefined ||
    Number.isNaN(state + offset + status)
  ) {
    throw new Error(`unexpected output of adjtimex: ${JSON.stringify(stdout.slice(0, 100))}`);
  }
  const synced = state !== TIME_ERROR;
  const offsetSeconds = offset / ((status & STA_NANO) === 0 ? 1e6 : 1e9);
  // Without a time service, the kernel's offset is stale or zero.
  return defined({ source: "kernel", synced, offsetSeconds: synced ? offsetSeconds : undefined });
}
