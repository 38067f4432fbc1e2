import { execFile } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import { isSocleError } from "../../agent/kernel/errors.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { ImageServer } from "../support/image-server.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { FaultyHost, mutation } from "./host.ts";
import { broken, type ImagesSeen } from "./image-check.ts";
import { hostileImages, sources, type Source } from "./image-sources.ts";
import { Killer, type Trap } from "./killer.ts";
import { Watch } from "./watch.ts";
import { isSame } from "./witness.ts";

const MIB = 2 ** 20;
const END_WITHIN_MS = 120_000;
const execute = promisify(execFile);
const sha256Of = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Imports images from troubled servers, and lets creations race with deletions. Returns figures. */
export async function sufferImages(
  run: CampaignRun,
  bundle?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const death = run.keep(await AgentDeath.make());
  const host = await FaultyHost.start(run, {
    ...death.agentOptions,
    config: { images: { pool: "images", allowHttp: true, allowPrivateAddresses: true } },
    ...(bundle === undefined ? {} : { bundle }),
  });
  const server = run.keep(await ImageServer.start());
  const watch = new Watch(run, host);
  const killer = new Killer(host, watch, death);
  const { vmId } = await host.succeeds(mutation("CREATE", "bystander"));
  const bystander = await host.witness.process(vmId);
  watch.mustLive(vmId);
  const play = new Play(run, host, server, killer);
  const all = sources(await hostileImages("/etc/hostname"));
  for (let step = 0; run.tries < run.count; step += 1) {
    run.tries += 1;
    await play.suffer(all[step % all.length] as Source, step);
    run.demand(isSame(bystander, await host.witness.process(vmId)), "the bystander's process was replaced");
  }
  watch.mayEnd(vmId);
  await host.succeeds(mutation("DELETE", vmId));
  return { deaths: killer.deaths, boundaries: killer.boundaries, ...play.figures };
}

/** One import after another, each of an image of its own. */
class Play {
  readonly #run: CampaignRun;
  readonly #host: FaultyHost;
  readonly #server: ImageServer;
  readonly #killer: Killer;
  /** The digests of all safe images so far. */
  readonly #verified = new Set<string>();
  readonly figures = { published: 0, refused: 0, cancelled: 0, races: 0, wonByVm: 0 };

  constructor(run: CampaignRun, host: FaultyHost, server: ImageServer, killer: Killer) {
    this.#run = run;
    this.#host = host;
    this.#server = server;
    this.#killer = killer;
  }

  async suffer(source: Source, step: number): Promise<void> {
    const run = this.#run;
    const before = run.violations.length;
    const isKilled = step % 2 === 1;
    const trap = isKilled ? await this.#killer.set("IMPORT") : undefined;
    const what = `an image ${source.what}, ${trap?.what ?? "and the agent lives"}`;
    run.log(`${run.tries}/${run.count} ${what}`);
    const bytes = await this.#image(step);
    const path = `/${step}.qcow2`;
    const url = source.serve(this.#server, path, bytes);
    const sha256 = sha256Of(source.unsafe ?? bytes);
    if (source.end !== "refused") this.#verified.add(sha256);
    const asked = { requestId: randomUUID(), url, sha256, name: `image-${step}` };
    const begin = (): Promise<Operation__Output> =>
      this.#host.client.ask(this.#host.client.contract.images.ImportImage, asked);
    const mend = (): void => void this.#server.serve(path, { bytes });
    const end = await this.#interrupted(trap, begin, source.end === "later" ? { mend } : undefined);
    this.#judgeImport(source, end);
    await this.#judge();
    if (end.state === "STATE_SUCCEEDED") await this.#race(`image-${step}`);
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${what}: ${run.violations[at]}`;
  }

  /** A qcow2 image of its own: 256 KiB of data that no other has. */
  async #image(step: number): Promise<Buffer> {
    const [raw, made] = [`${step}.raw`, `${step}.qcow2`].map((name) =>
      join(this.#host.libvirtd.directory, name),
    ) as [string, string];
    await writeFile(raw, Buffer.concat([randomBytes(256 * 1024), Buffer.alloc(MIB)]));
    await execute("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, made]);
    const bytes = await readFile(made);
    await Promise.all([rm(raw), rm(made)]);
    return bytes;
  }

  /** The operation at its end, after the agent's death during it if there is a trap. `held`: it stands still until mended. */
  async #interrupted(
    trap: Trap | undefined,
    begin: () => Promise<Operation__Output>,
    held?: { readonly mend: () => void },
  ): Promise<Operation__Output> {
    if (trap === undefined) {
      const begun = await begin();
      if (held === undefined) return await this.#host.ended(begun, END_WITHIN_MS);
      await this.#server.untilHeld();
      return await this.#cancelled(begun);
    }
    // An import that stands still has no end before its death.
    const work = begin()
      .then((begun) => this.#host.ended(begun, END_WITHIN_MS))
      .catch(() => new Promise(() => undefined));
    const stuck = held === undefined ? work : this.#server.untilHeld().catch(() => undefined);
    await trap.spring(stuck);
    held?.mend();
    await this.#killer.revive();
    return await this.#host.ended(await this.#again(begin), END_WITHIN_MS);
  }

  async #cancelled(begun: Operation__Output): Promise<Operation__Output> {
    const { CancelOperation } = this.#host.client.contract.operations;
    await this.#host.client.ask(CancelOperation, { operationId: begun.operationId });
    return await this.#host.ended(begun, END_WITHIN_MS);
  }

  async #again<T>(begin: () => Promise<T>): Promise<T> {
    const what = "the request to be accepted again";
    // A refusal is an answer too.
    const answered = async (): Promise<readonly [T]> => [await begin()];
    const [answer] = await eventually(answered, { what, timeoutMs: 40_000, intervalMs: 100 });
    return answer;
  }

  #judgeImport(source: Source, end: Operation__Output): void {
    const described = this.#host.describe(end);
    switch (end.state) {
      case "STATE_SUCCEEDED":
        this.figures.published += 1;
        this.#run.demand(source.end !== "refused", `it was published: ${described}`);
        return;
      case "STATE_FAILED":
        this.figures.refused += 1;
        this.#run.demand(source.end === "refused", `it was refused: ${described}`);
        return;
      case "STATE_CANCELLED":
        this.figures.cancelled += 1;
        this.#run.demand(source.end === "later", `it was cancelled: ${described}`);
        return;
      default:
        this.#run.violation(`it has no end: ${described}`);
    }
  }

  /** Two VMs are created over the image while two callers delete it. */
  async #race(image: string): Promise<void> {
    const turn = this.figures.races;
    this.figures.races += 1;
    const trap = turn % 3 === 2 ? await this.#killer.set("RACE") : undefined;
    const newVolume = { pool: "images", image };
    const spec = (name: string) => ({
      name,
      vcpus: 1,
      memoryBytes: 32 * MIB,
      disks: [{ name: "root", newVolume }],
    });
    const { vms, images } = this.#host.client.contract;
    const [a, b, c, d] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()] as const;
    const creation = (requestId: string, name: string) => (): Promise<Operation__Output> =>
      this.#host.client.ask(vms.CreateVm, { requestId, spec: spec(name), leaveStopped: true });
    const deletion = (requestId: string) => (): Promise<Operation__Output> =>
      this.#host.client.ask(images.DeleteImage, { requestId, image });
    // In turn, who comes first.
    const acts = [creation(a, "one"), deletion(c), creation(b, "two"), deletion(d)];
    const [first = deletion(d), ...rest] = [
      ...acts.slice(turn % acts.length),
      ...acts.slice(0, turn % acts.length),
    ];
    const all = async (isAgain = false): Promise<void> => {
      const beginOf = (act: () => Promise<Operation__Output>) =>
        isAgain ? this.#again(() => begun(act, true)) : begun(act);
      // A creation looks at the image before it is admitted: if all begin at once, a deletion comes first.
      const head = beginOf(first);
      if (turn % 4 === 0 || turn % 4 === 3) await head;
      const operations = await Promise.all([head, ...rest.map(beginOf)]);
      for (const operation of operations)
        if (operation !== undefined) this.#judgeAct(await this.#host.ended(operation, END_WITHIN_MS));
    };
    if (trap === undefined) await all();
    else {
      // A dead agent answers nothing any more.
      await trap.spring(all().catch(() => new Promise(() => undefined)));
      await this.#killer.revive();
      await all(true);
    }
    await this.#judge();
    await this.#clear(image);
  }

  /** An image has a user, or is deleted, from an act's admission on: none of both fails by the other later. */
  #judgeAct(end: Operation__Output): void {
    const isInUse =
      end.error !== null && fromStatus(this.#host.client.contract, end.error).reason === "IMAGE_IN_USE";
    const holds = end.state === "STATE_SUCCEEDED" || (end.kind === "DELETE_IMAGE" && isInUse);
    this.#run.demand(holds, `in the race: ${this.#host.describe(end)}`);
  }

  /** Deletes the VMs of a race, then the image if it won. */
  async #clear(image: string): Promise<void> {
    await this.#host.untilListed();
    const { vms } = await this.#host.list();
    const made = vms.filter(({ spec }) => spec?.name === "one" || spec?.name === "two");
    if (made.length > 0) this.figures.wonByVm += 1;
    for (const { vmId } of made) await this.#host.succeeds(mutation("DELETE", vmId));
    const { images } = this.#host.client.contract;
    const left = (await this.#listed()).filter(({ name }) => name === image);
    for (const { imageId } of left) {
      const begun = await this.#host.client.ask(images.DeleteImage, {
        requestId: randomUUID(),
        image: imageId,
      });
      const end = await this.#host.ended(begun, END_WITHIN_MS);
      this.#run.demand(
        end.state === "STATE_SUCCEEDED",
        `an image without users stays: ${this.#host.describe(end)}`,
      );
    }
    await this.#judge();
  }

  async #listed() {
    const { images } = this.#host.client.contract;
    const { images: all } = await this.#again(() => this.#host.client.ask(images.ListImages, {}));
    return all;
  }

  /** The agent removes leftovers of a death once it has read the pools. */
  async #judge(): Promise<void> {
    let found = broken(await this.#look());
    const deadline = performance.now() + 30_000;
    while (found.some((what) => what.startsWith("left over")) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      found = broken(await this.#look());
    }
    for (const what of found) this.#run.violation(what);
  }

  async #look(): Promise<ImagesSeen> {
    const { libvirtd, witness } = this.#host;
    const directory = libvirtd.imagesDirectory;
    const published = new Map((await this.#listed()).map(({ volume, sha256 }) => [volume, sha256]));
    const names = await readdir(directory);
    const images = names.filter((name) => name.startsWith("socle-image-"));
    const files = new Map<string, string>();
    for (const name of images.filter((each) => !each.endsWith(".json")))
      files.set(name, sha256Of(await readFile(join(directory, name))));
    const disks = (await witness.virsh("list --all --uuid"))
      .split(/\s+/)
      .flatMap((vm) => names.filter((name) => vm !== "" && name.startsWith(`socle-${vm}-root`)));
    const bases = new Map<string, string>();
    for (const disk of disks) {
      const { stdout } = await execute("qemu-img", ["info", "-U", "--output=json", join(directory, disk)]);
      const base = (JSON.parse(stdout) as { "full-backing-filename"?: string })["full-backing-filename"];
      if (base !== undefined) bases.set(disk, basename(base));
    }
    const manifests = images.filter((name) => name.endsWith(".json"));
    return { published, files, manifests, bases, verified: this.#verified };
  }
}

/** The operation; undefined: the agent refused it. A restarted agent may not know its images and VMs yet. */
async function begun(
  act: () => Promise<Operation__Output>,
  isRestarted = false,
): Promise<Operation__Output | undefined> {
  try {
    return await act();
  } catch (thrown) {
    const isAnswer = isSocleError(thrown) && !thrown.reason.startsWith("GRPC_");
    if (isAnswer && !(isRestarted && thrown.kind === "unavailable")) return undefined;
    throw thrown;
  }
}
