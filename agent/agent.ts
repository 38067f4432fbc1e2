import type { Basis } from "./composition/basis.ts";
import { buildEdges } from "./composition/edges.ts";
import { buildHypervisor } from "./composition/hypervisor.ts";
import { buildPeople, readPeopleKeys } from "./composition/people.ts";
import { reload } from "./composition/reload.ts";
import { openState } from "./composition/state.ts";
import { loadConfig } from "./config/load.ts";
import { defined } from "./kernel/defined.ts";
import { systemClock } from "./kernel/clock.ts";
import { credentialPath } from "./kernel/credentials.ts";
import { createLog, type Logger } from "./kernel/log.ts";
import { SdNotify } from "./kernel/lifecycle/sd-notify.ts";
import { runServices, type Service } from "./kernel/lifecycle/service.ts";
import { replaceFile } from "./state/journal/durable-file.ts";
import { Trust } from "./trust/index.ts";

interface AgentOptions {
  readonly configPath: string | undefined;
  readonly version: string;
  /** Holds `socle/v1/*.proto`. */
  readonly protoDirectory: string;
  /** Holds the status page: index.html and its files. */
  readonly pageDirectory: string;
  /** The child process that queries the machine's identity. */
  readonly probePath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Stops the agent gracefully. */
  readonly signal: AbortSignal;
  /** Registers the function that reloads the configuration. */
  readonly onReload: (reload: () => void) => void;
}

const SERVICE_STOP_MS = 5000;

/**
 * Builds every part, runs them until the signal aborts or one fails, and returns the process's exit code. Guests are not
 * affected.
 */
export async function runAgent(options: AgentOptions): Promise<number> {
  const { configPath, environment, signal, version } = options;
  const { config, warnings } = await loadConfig(configPath);
  const clock = systemClock;
  const log = createLog({ level: config.log.level });
  for (const warning of warnings) log.warn(warning);
  log.info({ version, configuration: configPath ?? "defaults", node: process.version }, "starting");
  const systemd = new SdNotify({ environment, clock, log });
  // A reload during the start waits until it is complete, which systemd learns first.
  let started = (): void => undefined;
  const start = new Promise<void>((resolve) => (started = resolve));
  const keyPath = credentialPath(environment, "socle-agent-key");
  const trust = new Trust(defined({ ...config.trust, keyPath, replaceFile, clock, log }));
  const basis: Basis = { config, version, environment, clock, log };
  let reloading = (): Promise<void> => Promise.resolve();
  options.onReload(() => void start.then(() => reloading()));
  const state = await openState(basis);
  const { audit } = state;
  const people = buildPeople(basis, state);
  reloading = () => reload(configPath, { config, trust, people, audit, log, systemd });
  try {
    await readPeopleKeys(people, audit);
    const hypervisor = buildHypervisor(basis, state, { trust, probePath: options.probePath });
    const edges = buildEdges(basis, state, { hypervisor, trust, people }, options);
    const onReady = (): void => {
      const { length } = hypervisor.table.all();
      edges.setServing(true);
      log.info({ startMs: Math.round(process.uptime() * 1000), vms: length }, "ready");
      void systemd.ready(`${length} VMs`).then(started);
    };
    const onStop = (): void => {
      edges.setServing(false);
      log.info("stopping; guests keep running");
      void systemd.stopping();
    };
    signal.addEventListener("abort", onStop, { once: true });
    const services = [...edges.probes, trust, ...hypervisor.services, ...edges.services];
    await runWatched(services, { signal, onReady, log, systemd });
    return 0;
  } finally {
    await state.close();
    log.info("stopped");
  }
}

/** Runs the services, and notifies systemd's watchdog while the event loop turns. */
async function runWatched(
  services: readonly Service[],
  run: { signal: AbortSignal; onReady: () => void; log: Logger; systemd: SdNotify },
): Promise<void> {
  const { signal, onReady, log, systemd } = run;
  const over = new AbortController();
  const pinging = systemd.runWatchdog(over.signal);
  try {
    await runServices(services, signal, onReady, { log, stopTimeoutMs: SERVICE_STOP_MS });
  } finally {
    over.abort();
    await pinging;
  }
}
