import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { defined } from "../../kernel/defined.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildDisk, type Disk } from "../../libvirt/xml/index.ts";
import { deviceName } from "../model/device-names.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import type { DomainReads } from "./domain-reads.ts";
import { isActive } from "./domain-state.ts";
import { emptyInQemu } from "./qemu-disks.ts";
import { reference } from "./stamps.ts";
import { pastTakenNodes } from "./taken-nodes.ts";

const MOST_TRIES = 3;

/** The media of a domain's CD-ROM drives. */
export class DomainMedia {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;
  readonly #reads: DomainReads;

  constructor(calls: LibvirtCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
    this.#reads = reads;
  }

  /**
   * Gives a drive this medium, in the definition and in a running guest; undefined: none. `force`: also if the guest locks the
   * tray. Throws `conflict` GUEST_KEEPS_MEDIUM, and DISK_NOT_ATTACHED if the definition or the running guest lacks the drive, and
   * `unavailable` EFFECT_NOT_OBSERVED.
   */
  async change(id: string, alias: string, path: string | undefined, force: boolean): Promise<void> {
    if (path !== undefined && (await this.#isLost(id, alias, path)))
      await this.#give(id, alias, undefined, force);
    await this.#give(id, alias, path, force);
  }

  /** As `change`, where libvirt shows another medium. */
  async #give(id: string, alias: string, path: string | undefined, force: boolean): Promise<void> {
    const isChanged = async (): Promise<boolean> =>
      (await this.#drives(id, alias)).every(({ source }) => pathOf(source) === path);
    const ask = async (): Promise<void> => {
      for (let tries = 1; ; tries += 1) {
        const [drive] = await this.#drives(id, alias);
        if (await isChanged()) return;
        if (tries > MOST_TRIES) throw notObserved(alias);
        const wasOn = isActive(await this.#reads.state(id));
        try {
          // Of a guest that starts meanwhile it changes the definition alone: the next try finds that.
          await this.#update(id, drive, path, force);
        } catch (thrown) {
          const error = toSocleError(thrown);
          const isOn = isActive(await this.#reads.state(id));
          // The guest has started or stopped meanwhile.
          if (error.kind === "conflict" && isOn !== wasOn && tries === 1) continue;
          if (error.reason !== "LIBVIRT_OPERATION_FAILED" || !isOn || force) throw thrown;
          throw keepsMedium(alias, error);
        }
      }
    };
    await pastTakenNodes(() => this.#certainty.ensure(ask, isChanged));
  }

  /** Whether the drive has this medium, in the definition or in a running guest; undefined: none. */
  async has(id: string, alias: string, path: string | undefined): Promise<boolean> {
    return (await this.#drives(id, alias)).some(({ source }) => pathOf(source) === path);
  }

  /**
   * Whether a running guest's drive is empty and libvirt shows the medium: a failed change takes it out, and libvirt shows it on. Then
   * libvirt inserts it only after it has ejected it.
   */
  async #isLost(id: string, alias: string, path: string): Promise<boolean> {
    const [, running] = await this.#drives(id, alias);
    if (running === undefined || pathOf(running.source) !== path) return false;
    const empty = await emptyInQemu(this.#libvirt, this.#clock, this.#reads, id).catch((thrown: unknown) => {
      throw toSocleError(thrown).kind === "outcome_unknown" ? noAnswer(alias, thrown) : thrown;
    });
    return empty.has(nameOf(alias));
  }

  async #update(id: string, drive: Disk, path: string | undefined, force: boolean): Promise<void> {
    const { source: _, ...same } = drive;
    const source = path === undefined ? undefined : ({ type: "file", path } as const);
    const { LIVE, CONFIG, FORCE } = libvirt.DomainDeviceModifyFlags;
    const isOn = isActive(await this.#reads.state(id));
    const flags = CONFIG | (isOn ? LIVE : 0) | (isOn && force ? FORCE : 0);
    const xml = buildDisk(defined<Disk>({ ...same, source }));
    await this.#libvirt.call(libvirt.domainUpdateDeviceFlags, { dom: reference(id), xml, flags });
  }

  /** The drive in the definition, and in a running guest. */
  async #drives(id: string, alias: string): Promise<readonly [Disk, ...Disk[]]> {
    const found = async (as: "defined" | "running"): Promise<Disk> => {
      const disks = (await this.#reads.document(id, as))?.devices.disks ?? [];
      const drive = disks.find((each) => each.alias === alias);
      if (drive?.device === "cdrom") return drive;
      const message = `the domain or its running guest has no CD-ROM drive ${nameOf(alias)} any more; detach it, or restart the VM`;
      throw new SocleError("conflict", "DISK_NOT_ATTACHED", message);
    };
    const isOn = isActive(await this.#reads.state(id));
    const defn = await found("defined");
    return isOn ? [defn, await found("running")] : [defn];
  }
}

const pathOf = (source: Disk["source"]): string | undefined =>
  source !== undefined && "path" in source ? source.path : undefined;

const nameOf = (alias: string): string => deviceName("disk", alias) ?? alias;

const notObserved = (alias: string): SocleError =>
  new SocleError(
    "unavailable",
    "EFFECT_NOT_OBSERVED",
    `libvirt accepted the medium of drive ${nameOf(alias)} and does not show it: another client may change it too (virsh dumpxml); retry`,
  );

const noAnswer = (alias: string, cause: unknown): SocleError =>
  new SocleError(
    "timeout",
    "LIBVIRT_TIMEOUT",
    `libvirt did not say in time whether QEMU has a medium in drive ${nameOf(alias)}; it was not changed, try again`,
    { cause, details: { retryAfterMs: 1000 } },
  );

const keepsMedium = (alias: string, cause: SocleError): SocleError =>
  new SocleError(
    "conflict",
    "GUEST_KEEPS_MEDIUM",
    `the guest locks the tray of drive ${nameOf(alias)} (${cause.message}), so its medium was not changed: unmount it in the guest, ` +
      "then retry, or use force, after which the guest may have read errors",
    { cause, details: { metadata: { disk: nameOf(alias) } } },
  );
