import { machine } from "node:os";
import { SocleError } from "../../kernel/errors.ts";
import { runChild, type ChildOutput } from "../privileged/child.ts";
import type { Reading } from "../reading.ts";
import { defined } from "../../kernel/defined.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** How well this machine's clock is kept. */
export interface TimeSync {
  /** Who says so: chrony, timesyncd, or the kernel. */
  readonly source: "chrony" | "timesyncd" | "kernel";
  /** Something keeps the clock, and has been able to lately. */
  readonly synced: boolean;
  /** Reference time minus this clock: positive while this clock is behind. Absent where the source does not tell. */
  readonly offsetSeconds?: number;
}

/** Runs a program to its end; rejects where it fails, as `runChild` does. */
type Run = (argv: readonly [string, ...string[]], signal: AbortSignal) => Promise<ChildOutput>;

const run: Run = (argv, signal) => runChild(argv, { timeoutMs: 5000, maxOutputBytes: 65_536, signal }).output;

/** x86-64 and arm64 (asm/unistd.h); Node has no call of its own for it. */
const ADJTIMEX_NUMBERS: Readonly<Record<string, number>> = { x86_64: 159, aarch64: 171 };

/**
 * Asks whoever keeps the clock, best informed first: chrony (over its command port on loopback, which needs no rights),
 * systemd-timesyncd and timedated (over D-Bus), then the kernel itself (adjtimex(2), by perl: a hardened service may not
 * call it). Unsupported where the programs for all of them are missing.
 */
export async function readTimeSync(signal: AbortSignal, ask: Run = run): Promise<Reading<TimeSync>> {
  const reasons = new Set<string>();
  let isMissing = true;
  for (const source of [chrony, timesyncd, timedated, kernel]) {
    try {
      return { kind: "read", value: await source(ask, signal) };
    } catch (cause) {
      if (signal.aborted) return { kind: "failed", reason: "given up" };
      isMissing &&= cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED";
      reasons.add(messageOf(cause));
    }
  }
  const reason = `nobody tells how well the clock is kept: ${[...reasons].join("; ")}`;
  return { kind: isMissing ? "unsupported" : "failed", reason };
}

/** What makes NTP take a server for unreachable (RFC 5905, 9.2): so many questions in a row without an answer. */
const QUESTIONS_LOST = 8;
/** As rarely as chrony asks, unless it is told to ask more rarely still. */
const MOST_BETWEEN_QUESTIONS_SECONDS = 1024;

async function chrony(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["chronyc", "-n", "-c", "tracking"], signal);
  const columns = stdout.trim().split(",");
  const leap = columns[13];
  const [heardAtSeconds = NaN, offsetSeconds = NaN, betweenSeconds = NaN] = [3, 4, 12].map((column) =>
    Number(columns[column]),
  );
  if (leap === undefined || !Number.isFinite(heardAtSeconds + offsetSeconds + betweenSeconds)) {
    throw new Error(`chronyc said ${JSON.stringify(stdout.slice(0, 100))}`);
  }
  // Once it knew the time it goes on saying so, however long its servers have been away.
  const silentSeconds = Date.now() / 1000 - heardAtSeconds;
  const isHeard = silentSeconds < QUESTIONS_LOST * Math.max(betweenSeconds, MOST_BETWEEN_QUESTIONS_SECONDS);
  const synced = leap !== "Not synchronised" && isHeard;
  // What it says before it knows the time is no measurement.
  return defined({ source: "chrony", synced, offsetSeconds: synced ? offsetSeconds : undefined });
}

/** Only where timesyncd is the one that keeps the clock. The offset is the one it found when it last asked its server. */
async function timesyncd(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["timedatectl", "timesync-status"], signal);
  const offset = /^ *Offset: ([+-])(.*)$/m.exec(stdout);
  if (offset === null) throw new Error("timesyncd has heard from no server");
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
function timespanSeconds(text: string): number {
  return text.split(" ").reduce((sum, part) => {
    const [, count, unit = ""] = /^([\d.]+)([a-z]+)$/.exec(part) ?? [];
    const seconds = Number(count) * (UNIT_SECONDS[unit] ?? NaN);
    if (!Number.isFinite(seconds)) throw new Error(`timedatectl said an offset of ${JSON.stringify(text)}`);
    return sum + seconds;
  }, 0);
}

async function timedated(ask: Run, signal: AbortSignal): Promise<TimeSync> {
  const { stdout } = await ask(["timedatectl", "show", "--property=NTPSynchronized"], signal);
  const said = /^NTPSynchronized=(yes|no)$/m.exec(stdout)?.[1];
  if (said === undefined) throw new Error(`timedatectl said ${JSON.stringify(stdout.slice(0, 100))}`);
  return { source: "kernel", synced: said === "yes" };
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
  if (number === undefined) throw new Error(`adjtimex is not known on ${machine()}`);
  const { stdout } = await ask(["perl", "-e", ADJTIMEX, String(number)], signal);
  const [state, offset, status] = stdout.trim().split(" ").map(Number);
  if (
    state === undefined ||
    offset === undefined ||
    status === undefined ||
    Number.isNaN(state + offset + status)
  ) {
    throw new Error(`adjtimex said ${JSON.stringify(stdout.slice(0, 100))}`);
  }
  const synced = state !== TIME_ERROR;
  const offsetSeconds = offset / ((status & STA_NANO) === 0 ? 1e6 : 1e9);
  // With nobody keeping the clock the kernel's offset is what it was once told, or nothing.
  return defined({ source: "kernel", synced, offsetSeconds: synced ? offsetSeconds : undefined });
}
