// attacks on every listener: strangers, wrong roles, floods, hostile texts and disks, stolen tokens, an edited audit log
import { parseArgs } from "node:util";
import { audit } from "./attack-audit.ts";
import { authority } from "./attack-authority.ts";
import { Bystander } from "./attack-bystander.ts";
import { commandLine } from "./attack-command-line.ts";
import { crowding } from "./attack-crowding.ts";
import { domains } from "./attack-domains.ts";
import { enrolment } from "./attack-enrolment.ts";
import { falseScheduler } from "./attack-false-scheduler.ts";
import { foreign } from "./attack-foreign.ts";
import { halfOpen } from "./attack-half-open.ts";
import { identity } from "./attack-identity.ts";
import { largeLabels } from "./attack-labels.ts";
import { loopback } from "./attack-loopback.ts";
import { metrics } from "./attack-metrics.ts";
import { page } from "./attack-page.ts";
import { people } from "./attack-people.ts";
import { renewal } from "./attack-renewal.ts";
import { replays } from "./attack-replays.ts";
import { requests } from "./attack-requests.ts";
import { roles } from "./attack-roles.ts";
import { secondAgent } from "./attack-second-agent.ts";
import { Stage } from "./attack-stage.ts";
import { state } from "./attack-state.ts";
import { storage } from "./attack-storage.ts";
import { tenancy } from "./attack-tenancy.ts";
import { tooMuch } from "./attack-floods.ts";
import { Tally, type Theme } from "./attack-runner.ts";
import { words } from "./attack-texts.ts";
import { campaign } from "./campaign.ts";

/** All tries. */
const ALL = Number.MAX_SAFE_INTEGER;
/** A short run opens fewer connections for a shorter time. */
const SHORT = 0.03;

/**
 * With each theme's share of a short run: some take a second per try. The audit log is last, since it records the attacks
 * before it.
 */
const themes: readonly [theme: (stage: Stage, scale: number) => Promise<Theme>, share: number][] = [
  [identity, 4],
  [roles, 6],
  [people, 2],
  [metrics, 3],
  [words, 6],
  [storage, 1],
  [domains, 2],
  [tenancy, 2],
  [foreign, 2],
  [requests, 1],
  [largeLabels, 0.4],
  [tooMuch, 1],
  [halfOpen, 0.2],
  [authority, 2],
  [enrolment, 2],
  [renewal, 0.4],
  [loopback, 0.4],
  [falseScheduler, 0.4],
  [commandLine, 0.4],
  [page, 0.2],
  [replays, 0.4],
  [state, 0.4],
  [secondAgent, 0.4],
  [crowding, 0.4],
  [audit, 1],
];
const { values: chosen } = parseArgs({
  options: {
    count: { type: "string" },
    seed: { type: "string" },
    theme: { type: "string", multiple: true, default: [] },
  },
});
const selected = themes.filter(([{ name }]) => chosen.theme.length === 0 || chosen.theme.includes(name));
if (selected.length < chosen.theme.length)
  throw new Error(`the themes are ${themes.map(([{ name }]) => name).join(", ")}`);
const shares = selected.reduce((sum, [, share]) => sum + share, 0);

await campaign({ name: "attack", count: ALL }, async (run) => {
  const stage = await Stage.start(run);
  const bystander = await Bystander.start(stage);
  const tally = new Tally(run);
  for (const [theme, share] of selected) {
    const made = await theme(stage, run.count === ALL ? 1 : SHORT);
    await tally.make(made, Math.ceil((run.count * share) / shares));
    await bystander.checkGuests();
  }
  const { refused, inert, letThrough, byTheme } = tally;
  return { refused, inert, letThrough, byTheme, ...(await bystander.end()) };
});
